//! What an operator's machinery asks: is it alive, may it get traffic, with which keys are tokens signed.

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use confab_rpc::Fault;
use confab_rpc::sessions::GetKeySetRequest;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::Gateway;
use crate::caller::unavailable;
use crate::docs::openapi::Room;

#[derive(OpenApi)]
#[openapi(paths(live, ready, key_set))]
struct Api;

/// The requests that belong to no dialect.
pub(crate) fn described() -> Room {
    Room {
        name: "operations",
        about: "What an operator's machinery asks: is it alive, may it get traffic, with which keys are tokens signed.",
        api: Api::openapi(),
        examples: &[],
    }
}

/// Routes that belong to no dialect.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/livez", web::get().to(live))
        .route("/readyz", web::get().to(ready))
        .route("/.well-known/jwks.json", web::get().to(key_set));
}

/// A request that is not answered.
#[derive(Serialize, ToSchema)]
struct Failed {
    error: &'static str,
}

/// How the process is.
#[derive(Serialize, ToSchema)]
struct Health {
    status: Status,
    /// What does not work, when something does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl From<Status> for Health {
    fn from(status: Status) -> Self {
        Self {
            status,
            reason: None,
        }
    }
}

/// What can be said of a process.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Alive,
    Ready,
    /// It answers, with something missing.
    Degraded,
    /// It answers, and can do nothing for who talks to people.
    Away,
    Stopping,
}

/// A set of public keys (RFC 7517), as the sessions service writes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct KeySet {
    keys: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Whatever no route takes.
pub(crate) async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(Failed { error: "not found" })
}

/// Says whether the process is alive.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "livez",
    responses((status = 200, body = Health, description = "alive")),
)]
async fn live() -> impl Responder {
    web::Json(Health::from(Status::Alive))
}

/// Says whether the process may get traffic.
///
/// It says no from the moment the process is asked to stop, while what is under way comes to its end, and while the
/// conversations between people, or their database, have not answered it for five seconds. Nothing is asked of anybody for this.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    responses(
        (status = 200, body = Health, description = "may get traffic"),
        (status = 503, body = Health, description = "is stopping, or does not reach the conversations"),
    ),
)]
async fn ready(gateway: web::Data<Gateway>) -> HttpResponse {
    if gateway.is_stopping() {
        return HttpResponse::ServiceUnavailable().json(Health::from(Status::Stopping));
    }
    if gateway.live.is_cut_off() {
        return HttpResponse::ServiceUnavailable().json(Health {
            status: Status::Away,
            reason: Some("the conversations cannot be reached"),
        });
    }
    let health = match gateway.live.degraded() {
        Some(reason) => Health {
            status: Status::Degraded,
            reason: Some(reason),
        },
        None => Status::Ready.into(),
    };
    HttpResponse::Ok().json(health)
}

/// Gives the keys with which tokens are signed.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jwks",
    responses(
        (status = 200, body = KeySet, content_type = "application/jwk-set+json", description = "the public keys"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
async fn key_set(gateway: web::Data<Gateway>) -> HttpResponse {
    let mut sessions = gateway.backends.sessions();
    match sessions.get_key_set(GetKeySetRequest {}).await {
        Ok(keys) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/jwk-set+json"))
            .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
            .body(keys.into_inner().json),
        Err(status) => {
            let fault = Fault::from(status);
            tracing::warn!(%fault, "the keys could not be read");
            let error = "Service Unavailable";
            unavailable().json(Failed { error })
        }
    }
}
