//! What every request begins with: who sends it, whether that is too often, what it carries.

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::de::DeserializeOwned;

use super::Room;
use super::fault::Refused;
use crate::Gateway;
use crate::body::{self, Unread};
use crate::caller::{Asker, Credential, Scope};

pub(super) type Reply = Result<HttpResponse, Refused>;

/// Who sends a request, once the credential is good for it and the limits let it through.
pub(super) async fn asker(
    request: &HttpRequest,
    gateway: &Gateway,
    scope: Scope,
) -> Result<Asker, Refused> {
    let credential = Credential::bearer(request);
    let asker = gateway
        .known
        .identify(&gateway.backends, credential.as_ref())
        .await?;
    let standing = gateway.limits.admit(&asker.counter()).await;
    // For the answer's headers.
    request.extensions_mut().insert(standing);
    standing.check()?;
    require(&asker, scope)?;
    Ok(asker)
}

/// That the credential is good for something.
pub(super) fn require(asker: &Asker, scope: Scope) -> Result<(), Refused> {
    if asker.has(scope) {
        return Ok(());
    }
    Err(Refused::missing_scope(scope))
}

/// The body, whole.
pub(super) async fn read(payload: web::Payload, room: &Room) -> Result<web::Bytes, Refused> {
    let body = body::read(payload, room.body_bytes).await;
    body.map_err(|unread| match unread {
        Unread::CutOff => Refused::invalid("The body was cut off."),
        Unread::TooLarge => Refused::too_large(room.body_bytes),
    })
}

/// What serde says may repeat a value: only the place is passed on.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = if error.is_data() {
            "The body has something at line"
        } else {
            "We could not parse the JSON body of your request: line"
        };
        let end = if error.is_data() {
            " that is not what this request takes."
        } else {
            " is where it stops being JSON."
        };
        Refused::invalid(format!("{what} {line}, column {column}{end}"))
    })
}

/// The model that a body names.
pub(super) fn model(named: Option<String>) -> Result<String, Refused> {
    named
        .filter(|name| !name.is_empty())
        .ok_or_else(|| Refused::invalid_param("model", "You must provide a model parameter."))
}
