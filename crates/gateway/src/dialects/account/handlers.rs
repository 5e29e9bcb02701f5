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
use serde_json::json;

use super::fault::Refused;
use super::wire;
use crate::Gateway;
use crate::caller::{Credential, token_cookie, verify};

/// A longer body holds nothing that could be meant.
const BODY_BYTES: usize = 16 * 1024;

type Reply = Result<HttpResponse, Refused>;

pub(super) async fn register(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let reply: Reply = async {
        check_origin(&request, &gateway)?;
        let body: wire::Register = parse(&read(payload).await?)?;
        let new = RegisterRequest {
            username: body.username,
            password: body.password.expose_secret().to_owned(),
            email: body.email.unwrap_or_default(),
            fullname: body.fullname.unwrap_or_default(),
            phone_number: body.phone_number.unwrap_or_default(),
        };
        let user = gateway.backends.sessions().register(new).await?;
        let user = user.into_inner().into();
        Ok(HttpResponse::Created().json(wire::Registered { user }))
    }
    .await;
    answer(reply)
}

pub(super) async fn login(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let reply: Reply = async {
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
    .await;
    answer(reply)
}

pub(super) async fn refresh(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let reply: Reply = async {
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
    .await;
    answer(reply)
}

/// Ends the session of the refresh token in the body, or of the credential. An unknown refresh token reads like one
/// whose session is ended.
pub(super) async fn logout(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let reply: Reply = async {
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
        let mut response = HttpResponse::Ok();
        response.cookie(no_cookie());
        Ok(response.json(json!({})))
    }
    .await;
    answer(reply)
}

pub(super) async fn ticket(request: HttpRequest, gateway: web::Data<Gateway>) -> HttpResponse {
    let reply: Reply = async {
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
    .await;
    answer(reply)
}

pub(super) async fn me(request: HttpRequest, gateway: web::Data<Gateway>) -> HttpResponse {
    let reply: Reply = async {
        let verified = proven(&request, &gateway).await?;
        let id = verified.user.ok_or(Refused::INTERNAL)?.id;
        let wanted = GetProfilesRequest { user_ids: vec![id] };
        let profiles = gateway.backends.sessions().get_profiles(wanted).await?;
        let profile = profiles.into_inner().profiles.pop();
        let user = profile.ok_or(Refused::INTERNAL)?.into();
        Ok(HttpResponse::Ok().json(wire::Me { user }))
    }
    .await;
    answer(reply)
}

/// Whose request it is, in open mode as well.
async fn proven(request: &HttpRequest, gateway: &Gateway) -> Result<VerifiedToken, Refused> {
    let credential = Credential::of(request);
    Ok(verify(&gateway.backends, credential.as_ref()).await?)
}

/// A page that may not connect must not sign a browser in or out either.
fn check_origin(request: &HttpRequest, gateway: &Gateway) -> Result<(), Refused> {
    if gateway.origins.allow(request) {
        return Ok(());
    }
    Err(Refused::ORIGIN)
}

async fn read(payload: web::Payload) -> Result<web::Bytes, Refused> {
    match payload.to_bytes_limited(BODY_BYTES).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Refused::CUT_OFF),
        Err(_) => Err(Refused::TOO_LARGE),
    }
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

fn answer(reply: Reply) -> HttpResponse {
    reply.unwrap_or_else(HttpResponse::from)
}
