//! A request each: body → call to the sessions service → body.

use actix_web::cookie::Cookie;
use actix_web::cookie::time::Duration;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::sessions::{
    GetProfilesRequest, IssueTicketRequest, RefreshRequest, RegisterRequest, SignInRequest,
    SignOutRequest, SignedIn, VerifiedToken, sign_in_request, sign_out_request,
};
use confab_rpc::time;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::fault::{Failed, Refused};
use super::wire;
use crate::Gateway;
use crate::body::{self, Unread};
use crate::caller::{Credential, Refusal, token_cookie, verify};

/// A longer body holds nothing that could be meant.
const BODY_BYTES: usize = 16 * 1024;

pub(super) type Reply = Result<HttpResponse, Refused>;

/// Makes a user.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    request_body = wire::Register,
    responses(
        (status = 201, body = wire::Registered, description = "made"),
        (status = 400, body = Failed, description = "the body is not what this takes"),
        (status = 403, body = Failed, description = "nobody may register here, or a page that may not connect"),
        (status = 409, body = Failed, description = "somebody has the name or the address"),
        (status = 413, body = Failed, description = "longer than 16 KiB"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn register(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let body: wire::Register = parse(&read(payload).await?)?;
    let new = RegisterRequest {
        username: body.username,
        password: body.password.expose_secret().to_owned(),
        email: body.email.unwrap_or_default(),
        fullname: body.fullname.unwrap_or_default(),
        phone_number: body.phone_number.unwrap_or_default(),
        ..RegisterRequest::default()
    };
    let user = gateway.backends.sessions().register(new).await?;
    let user = user.into_inner().into();
    Ok(HttpResponse::Created().json(wire::Registered { user }))
}

/// Signs somebody in: tokens in the body, and the access token as a cookie.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    request_body = wire::Login,
    responses(
        (status = 200, body = wire::SignedIn, description = "signed in"),
        (status = 400, body = Failed, description = "the body is not what this takes"),
        (status = 401, body = Failed, description = "name or password are wrong"),
        (status = 403, body = Failed, description = "a page that may not connect"),
        (status = 413, body = Failed, description = "longer than 16 KiB"),
        (status = 429, body = Failed, description = "too many attempts; `Retry-After` says when to come back"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn login(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let body: wire::Login = parse(&read(payload).await?)?;
    let sign_in = SignInRequest {
        by: Some(named(body.username, body.email)?),
        password: body.password.expose_secret().to_owned(),
        client_address: client_address(&request),
    };
    let signed_in = gateway.backends.sessions().sign_in(sign_in).await?;
    answer_signed_in(&request, &gateway, signed_in.into_inner())
}

/// Gives new tokens for a refresh token, which is good once.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    request_body = wire::Refresh,
    responses(
        (status = 200, body = wire::SignedIn, description = "the session goes on"),
        (status = 400, body = Failed, description = "the body is not what this takes"),
        (status = 401, body = Failed, description = "the token is not good, or was used before, which ends its session"),
        (status = 403, body = Failed, description = "a page that may not connect"),
        (status = 413, body = Failed, description = "longer than 16 KiB"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn refresh(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let body: wire::Refresh = parse(&read(payload).await?)?;
    let refresh = body.refresh.expose_secret().to_owned();
    let signed_in = gateway
        .backends
        .sessions()
        .refresh(RefreshRequest { refresh })
        .await?;
    answer_signed_in(&request, &gateway, signed_in.into_inner())
}

/// Ends the session of the refresh token in the body, or of the credential. An unknown refresh token reads like one
/// whose session is ended.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    request_body = Option<wire::Logout>,
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = wire::SignedOut, description = "the session is ended"),
        (status = 400, body = Failed, description = "the body is not what this takes"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 403, body = Failed, description = "a page that may not connect"),
        (status = 413, body = Failed, description = "longer than 16 KiB"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn logout(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let body = read(payload).await?;
    let body: wire::Logout = match body.trim_ascii() {
        [] => wire::Logout::default(),
        body => parse(body)?,
    };
    let by = match body.refresh {
        Some(refresh) => sign_out_request::By::Refresh(refresh.expose_secret().to_owned()),
        None => sign_out_request::By::SessionId(proven(&request, &gateway).await?.session_id),
    };
    let sign_out = SignOutRequest { by: Some(by) };
    gateway.backends.sessions().sign_out(sign_out).await?;
    gateway.known.forget();
    let mut response = HttpResponse::Ok();
    response.cookie(no_cookie());
    Ok(response.json(wire::SignedOut {}))
}

/// Gives what stands for a token in a socket's URL: good once and for a short time.
#[utoipa::path(
    post,
    path = "/auth/ws-ticket",
    operation_id = "ticket",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = wire::Ticket, description = "a ticket"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 403, body = Failed, description = "a page that may not connect"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn ticket(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    check_origin(&request, &gateway)?;
    let verified = proven(&request, &gateway).await?;
    let wanted = IssueTicketRequest {
        user_id: verified.user.ok_or(Refused::INTERNAL)?.id,
        session_id: verified.session_id,
        connection_seconds: verified.connection_seconds,
    };
    let ticket = gateway.backends.sessions().issue_ticket(wanted).await?;
    let ticket = ticket.into_inner();
    Ok(HttpResponse::Ok().json(wire::Ticket {
        expires_in: seconds_left(&gateway, ticket.expires_at),
        ticket: ticket.ticket,
    }))
}

/// Says who the caller is.
#[utoipa::path(
    get,
    path = "/auth/me",
    operation_id = "me",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = wire::Me, description = "the caller"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn me(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    let id = caller_id(&request, &gateway).await?;
    let wanted = GetProfilesRequest { user_ids: vec![id] };
    let profiles = gateway.backends.sessions().get_profiles(wanted).await?;
    let profile = profiles.into_inner().profiles.pop();
    let user = profile.ok_or(Refused::INTERNAL)?.into();
    Ok(HttpResponse::Ok().json(wire::Me { user }))
}

/// Whose request it is, in open mode as well. An API key is good for programs, not for what its owner is.
async fn proven(request: &HttpRequest, gateway: &Gateway) -> Result<VerifiedToken, Refused> {
    let credential = Credential::of(request);
    let verified = verify(&gateway.backends, credential.as_ref()).await?;
    match verified.api_key {
        None => Ok(verified),
        Some(_) => Err(Refusal::Unauthorized.into()),
    }
}

/// The id of the user whose request it is.
pub(super) async fn caller_id(request: &HttpRequest, gateway: &Gateway) -> Result<String, Refused> {
    let verified = proven(request, gateway).await?;
    Ok(verified.user.ok_or(Refused::INTERNAL)?.id)
}

/// A page that may not connect must not sign a browser in or out either.
pub(super) fn check_origin(request: &HttpRequest, gateway: &Gateway) -> Result<(), Refused> {
    if gateway.origins.allow(request) {
        return Ok(());
    }
    Err(Refused::ORIGIN)
}

pub(super) async fn read(payload: web::Payload) -> Result<web::Bytes, Refused> {
    let body = body::read(payload, BODY_BYTES).await;
    body.map_err(|unread| match unread {
        Unread::CutOff => Refused::CUT_OFF,
        Unread::TooLarge => Refused::TOO_LARGE,
    })
}

/// What serde says names keys and places, and may repeat a value: only the place is passed on.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Refused::invalid(format!(
            "the body is not the JSON that is expected (line {line}, column {column})"
        ))
    })
}

/// By what somebody signs in.
pub(super) fn named(
    username: Option<String>,
    email: Option<String>,
) -> Result<sign_in_request::By, Refused> {
    match (username, email) {
        (Some(username), _) => Ok(sign_in_request::By::Username(username)),
        (None, Some(email)) => Ok(sign_in_request::By::Email(email)),
        (None, None) => Err(Refused::invalid("a username or an email is needed")),
    }
}

fn client_address(request: &HttpRequest) -> String {
    request
        .peer_addr()
        .map(|address| address.ip().to_string())
        .unwrap_or_default()
}

fn answer_signed_in(request: &HttpRequest, gateway: &Gateway, signed_in: SignedIn) -> Reply {
    let expires_in = seconds_left(gateway, signed_in.access_expires_at);
    let mut cookie = token_cookie(signed_in.access.clone());
    cookie.set_max_age(Duration::seconds(expires_in.try_into().unwrap_or(0)));
    cookie.set_secure(request.connection_info().scheme() == "https");
    let body = wire::SignedIn {
        token: signed_in.access.clone(),
        refresh_token: signed_in.refresh.clone(),
        access: signed_in.access,
        refresh: signed_in.refresh,
        expires_in,
        user: signed_in.user.ok_or(Refused::INTERNAL)?.into(),
    };
    Ok(HttpResponse::Ok().cookie(cookie).json(body))
}

fn no_cookie() -> Cookie<'static> {
    let mut cookie = token_cookie(String::new());
    cookie.make_removal();
    cookie
}

/// Whole seconds until something expires.
fn seconds_left(gateway: &Gateway, at: Option<prost_types::Timestamp>) -> u64 {
    let left = at
        .and_then(time::from_wire)
        .map_or(0, |at| (at - gateway.clock.now()).num_milliseconds());
    u64::try_from(left).map_or(0, |milliseconds| milliseconds.div_ceil(1000))
}
