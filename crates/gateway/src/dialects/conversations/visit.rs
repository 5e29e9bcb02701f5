//! What every request begins with: the page it comes from, who sends it, what it names, what it carries.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::sessions::{GetUserRequest, User, get_user_request};
use confab_rpc::threads::{LocateRequest, Located, locate_request};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::fault::Problem;
use crate::AuthMode;
use crate::Gateway;
use crate::body::{self, Unread};
use crate::caller::{Caller, Credential, Scope};

/// The longest body, in bytes. A message is at most 128 KiB; older clients send several.
const BODY_BYTES: usize = 1024 * 1024;

/// Longer keys are refused: what is derived from one must be a key as well.
const KEY_BYTES: usize = 200;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

pub(super) type Reply = Result<HttpResponse, Problem>;

/// Who sends a request.
pub(super) struct Visitor {
    pub(super) caller: Caller,
    /// Whose budget pays as well; empty: none.
    pub(super) api_key_id: String,
}

/// Who sends a request, once the page it comes from may. API keys are as good as tokens if they are made for this.
pub(super) async fn visitor(request: &HttpRequest, gateway: &Gateway) -> Result<Visitor, Problem> {
    if !gateway.origins.allow(request) {
        return Err(Problem::origin());
    }
    if gateway.auth == AuthMode::Open {
        return Ok(Visitor {
            caller: Caller::Anyone,
            api_key_id: String::new(),
        });
    }
    let credential = Credential::of(request);
    let asker = gateway
        .known
        .identify(&gateway.backends, credential.as_ref())
        .await?;
    if !asker.has(Scope::Conversations) {
        return Err(Problem::scope());
    }
    Ok(Visitor {
        caller: Caller::User(asker.user),
        api_key_id: asker.api_key_id(),
    })
}

/// The same, where nothing is paid for.
pub(super) async fn caller(request: &HttpRequest, gateway: &Gateway) -> Result<Caller, Problem> {
    Ok(visitor(request, gateway).await?.caller)
}

/// The user with this number, for whom the caller may act.
pub(super) async fn user(gateway: &Gateway, caller: Caller, number: i64) -> Result<User, Problem> {
    if matches!(caller, Caller::User(verified) if verified.number != number) {
        return Err(Problem::not_found("User"));
    }
    find_user(gateway, get_user_request::By::Number(number)).await
}

/// Whom a body names; who has proved who it is need not be named.
pub(super) async fn named_user(
    gateway: &Gateway,
    caller: Caller,
    number: Option<i64>,
) -> Result<User, Problem> {
    let number = match (number, caller) {
        (Some(number), _) => number,
        (None, Caller::User(verified)) => verified.number,
        (None, Caller::Anyone) => return Err(Problem::bad_input("user_id is needed")),
    };
    user(gateway, caller, number).await
}

pub(super) async fn find_user(
    gateway: &Gateway,
    by: get_user_request::By,
) -> Result<User, Problem> {
    let request = GetUserRequest { by: Some(by) };
    Ok(gateway
        .backends
        .sessions()
        .get_user(request)
        .await?
        .into_inner())
}

/// The conversation with this number, for whose owner the caller may act.
pub(super) async fn conversation(
    gateway: &Gateway,
    caller: Caller,
    number: i64,
) -> Result<Located, Problem> {
    let found = locate(gateway, caller, locate_request::By::Number(number)).await?;
    found.ok_or_else(|| Problem::not_found("Conversation"))
}

/// Where the message with this number is.
pub(super) async fn message(
    gateway: &Gateway,
    caller: Caller,
    number: i64,
) -> Result<Located, Problem> {
    let found = locate(gateway, caller, locate_request::By::MessageId(number)).await?;
    found.ok_or_else(|| Problem::not_found("Message"))
}

async fn locate(
    gateway: &Gateway,
    caller: Caller,
    by: locate_request::By,
) -> Result<Option<Located>, Problem> {
    let request = LocateRequest { by: Some(by) };
    let located = gateway
        .backends
        .threads()
        .locate(request)
        .await?
        .into_inner();
    let foreign =
        matches!(caller, Caller::User(verified) if verified.id.to_string() != located.owner_id);
    Ok((!foreign).then_some(located))
}

/// The number of a user who is there for sure, or was.
pub(super) async fn number_of(gateway: &Gateway, user_id: &str) -> Result<i64, Problem> {
    let profile = gateway.live.people().profile(user_id).await?;
    Ok(profile.map_or(0, |profile| profile.number))
}

/// A number in a path.
pub(super) fn id(segment: &str) -> Result<i64, Problem> {
    let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let id = digits.then(|| segment.parse().ok()).flatten();
    id.ok_or_else(|| Problem::bad_input("an id is a number"))
}

/// The body as JSON. What serde says may repeat a value: only the place is passed on.
pub(super) async fn body<T: DeserializeOwned>(payload: web::Payload) -> Result<T, Problem> {
    parse(&read(payload).await?)
}

/// The same, where nothing reads like an empty object.
pub(super) async fn optional_body<T: DeserializeOwned + Default>(
    payload: web::Payload,
) -> Result<T, Problem> {
    match read(payload).await?.trim_ascii() {
        [] => Ok(T::default()),
        body => parse(body),
    }
}

async fn read(payload: web::Payload) -> Result<web::Bytes, Problem> {
    let body = body::read(payload, BODY_BYTES).await;
    body.map_err(|unread| match unread {
        Unread::CutOff => Problem::bad_input("the body was cut off"),
        Unread::TooLarge => Problem::too_large(BODY_BYTES),
    })
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let at = format!("(line {}, column {})", error.line(), error.column());
        if serde_json::from_slice::<IgnoredAny>(body).is_ok() {
            return Problem::bad_input(format!("the body is not what is expected {at}"));
        }
        Problem::syntax(format!("the body is no JSON {at}"))
    })
}

/// What makes a repeated request harmless: the header, or what the body says. Empty: nothing.
pub(super) fn key(request: &HttpRequest, in_body: Option<String>) -> Result<String, Problem> {
    let key = match request.headers().get(IDEMPOTENCY_KEY) {
        Some(value) => value.to_str().ok().map(str::to_owned),
        None => in_body.or_else(|| Some(String::new())),
    };
    key.filter(|key| key.len() <= KEY_BYTES)
        .ok_or_else(|| Problem::bad_input("a key is a text of at most 200 bytes"))
}
