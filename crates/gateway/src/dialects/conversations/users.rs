//! Users: made, listed, looked up, signed in.

use actix_web::cookie::time::Duration;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::sessions::{
    ListUsersRequest, RegisterRequest, SignInRequest, User, get_user_request, sign_in_request,
};
use confab_rpc::{Fault, Reason, time};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::fault::{Problem, Refusals, Strange, Unread};
use super::visit::{self, Reply};
use super::{Room, wire};
use crate::Gateway;
use crate::caller::{Caller, token_cookie};

/// Users of one `ListUsers`.
const PAGE: u32 = 1000;

/// The most users that one list shows; a user is found by name all the same.
const LISTED: usize = 100_000;

/// Lists users: in token mode the caller alone.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "list_users",
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::User>, description = "users"), Refusals),
)]
pub(super) async fn list(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let users = all(&gateway, caller).await?;
    let users: Vec<wire::User> = users.into_iter().map(wire::User::from).collect();
    Ok(HttpResponse::Ok().json(users))
}

/// Everybody for whom the caller may act.
pub(super) async fn all(gateway: &Gateway, caller: Caller) -> Result<Vec<User>, Problem> {
    if let Caller::User(verified) = caller {
        return Ok(vec![visit::user(gateway, caller, verified.number).await?]);
    }
    let mut sessions = gateway.backends.sessions();
    let mut users: Vec<User> = Vec::new();
    while users.len() < LISTED {
        let request = ListUsersRequest {
            after_number: users.last().map_or(0, |user| user.number),
            limit: PAGE,
        };
        let page = sessions.list_users(request).await?.into_inner().users;
        if page.is_empty() {
            break;
        }
        users.extend(page);
    }
    Ok(users)
}

/// Makes a user.
#[utoipa::path(
    post,
    path = "/users",
    operation_id = "create_user",
    request_body = wire::Credentials,
    responses(
        (status = 201, body = wire::User, description = "made"),
        (status = 409, body = super::fault::Failed, description = "somebody has the name"),
        Unread,
        Strange,
    ),
)]
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> Reply {
    if !gateway.origins.allow(&request) {
        return Err(Problem::origin());
    }
    let new: wire::Credentials = visit::body(payload).await?;
    let user = match gateway.auth {
        crate::AuthMode::Token => {
            let password = new.password;
            let password = password.ok_or_else(|| Problem::bad_input("password is needed"))?;
            make(&gateway, newcomer(&new.username, &password)).await?
        }
        crate::AuthMode::Open => register_openly(&gateway, &room, new).await?,
    };
    Ok(HttpResponse::Created().json(wire::User::from(user)))
}

/// The same under another name.
#[utoipa::path(
    post,
    path = "/register",
    operation_id = "register",
    request_body = wire::Credentials,
    responses(
        (status = 201, body = wire::User, description = "made"),
        (status = 409, body = super::fault::Failed, description = "somebody has the name"),
        Unread,
        Strange,
    ),
)]
pub(super) async fn register(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> Reply {
    create(request, payload, gateway, room).await
}

fn newcomer(username: &str, password: &SecretString) -> RegisterRequest {
    RegisterRequest {
        username: username.to_owned(),
        password: password.expose_secret().to_owned(),
        ..RegisterRequest::default()
    }
}

async fn make(gateway: &Gateway, new: RegisterRequest) -> Result<User, Fault> {
    Ok(gateway
        .backends
        .sessions()
        .register(new)
        .await?
        .into_inner())
}

/// Where ids are believed a password protects nothing: a front end that sends a weak one, or none, is served all the
/// same, and its user has a password that nobody knows.
async fn register_openly(
    gateway: &Gateway,
    room: &Room,
    new: wire::Credentials,
) -> Result<User, Problem> {
    // With what its first question takes.
    let endowed = |password: &SecretString| RegisterRequest {
        models: room.settings.open_models.clone(),
        deposit_microdollars: room.settings.open_deposit_microdollars,
        ..newcomer(&new.username, password)
    };
    let chosen = match &new.password {
        Some(password) => Some(make(gateway, endowed(password)).await),
        None => None,
    };
    let user = match chosen {
        Some(Err(fault)) if fault.reason != Reason::Invalid => return Err(fault.into()),
        Some(Ok(user)) => user,
        // Only the name can be wrong now.
        Some(Err(_)) | None => make(gateway, endowed(&unknown_password())).await?,
    };
    Ok(user)
}

fn unknown_password() -> SecretString {
    let (one, two) = (Uuid::new_v4().simple(), Uuid::new_v4().simple());
    format!("{one}{two}").into()
}

/// Finds a user by name; what is all digits and nobody's name is a number.
#[utoipa::path(
    get,
    path = "/users/{user}",
    operation_id = "get_user",
    params(("user" = String, Path, description = "name or number")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = wire::User, description = "the user"),
        (status = 404, body = super::fault::Failed, description = "there is no such user, or it is not the caller"),
        Refusals,
    ),
)]
pub(super) async fn get(
    request: HttpRequest,
    segment: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let by = get_user_request::By::Username(segment.clone());
    let user = match visit::find_user(&gateway, by).await {
        Ok(user) => user,
        Err(unknown) => match visit::id(&segment) {
            Ok(number) => visit::user(&gateway, caller, number).await?,
            Err(_) => return Err(unknown),
        },
    };
    match caller {
        Caller::User(verified) if verified.number != user.number => Err(Problem::not_found("User")),
        _ => Ok(HttpResponse::Ok().json(wire::User::from(user))),
    }
}

/// Signs somebody in: the token in the body, and as the cookie `token`.
#[utoipa::path(
    post,
    path = "/login",
    operation_id = "login",
    request_body = wire::Credentials,
    responses(
        (status = 200, body = wire::SignedIn, description = "signed in"),
        (status = 429, body = super::fault::Failed, description = "too many attempts; `Retry-After` says when to come back"),
        Unread,
        Strange,
    ),
)]
pub(super) async fn login(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    if !gateway.origins.allow(&request) {
        return Err(Problem::origin());
    }
    let body: wire::Credentials = visit::body(payload).await?;
    let password = body.password.unwrap_or_default();
    let sign_in = SignInRequest {
        by: Some(sign_in_request::By::Username(body.username)),
        password: password.expose_secret().to_owned(),
        client_address: client_address(&request),
    };
    let signed_in = gateway.backends.sessions().sign_in(sign_in).await?;
    let signed_in = signed_in.into_inner();
    let expires_at = signed_in.access_expires_at.and_then(time::from_wire);
    let left = expires_at.map_or(0, |at| (at - gateway.clock.now()).num_seconds());
    let mut cookie = token_cookie(signed_in.access.clone());
    cookie.set_max_age(Duration::seconds(left));
    cookie.set_secure(request.connection_info().scheme() == "https");
    let user = signed_in.user.unwrap_or_default();
    Ok(HttpResponse::Ok().cookie(cookie).json(wire::SignedIn {
        id: user.number,
        username: user.username,
        token: signed_in.access,
    }))
}

fn client_address(request: &HttpRequest) -> String {
    let address = request.peer_addr().map(|address| address.ip().to_string());
    address.unwrap_or_default()
}
