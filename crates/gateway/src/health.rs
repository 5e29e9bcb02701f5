//! What an operator's machinery asks: is it alive, may it get traffic, with which keys are tokens signed.

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use confab_rpc::Fault;
use confab_rpc::sessions::GetKeySetRequest;
use serde_json::json;

use crate::Gateway;
use crate::caller::unavailable;

/// Routes that belong to no dialect.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .route("/livez", web::get().to(live))
        .route("/readyz", web::get().to(ready))
        .route("/.well-known/jwks.json", web::get().to(key_set));
}

/// Whatever no route takes.
pub(crate) async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": "not found" }))
}

async fn live() -> impl Responder {
    web::Json(json!({ "status": "alive" }))
}

/// Says no from the moment the process is asked to stop, while what is under way comes to its end.
async fn ready(gateway: web::Data<Gateway>) -> HttpResponse {
    if gateway.is_stopping() {
        return HttpResponse::ServiceUnavailable().json(json!({ "status": "stopping" }));
    }
    match gateway.live.degraded() {
        Some(reason) => HttpResponse::Ok().json(json!({ "status": "degraded", "reason": reason })),
        None => HttpResponse::Ok().json(json!({ "status": "ready" })),
    }
}

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
            unavailable().json(json!({ "error": "Service Unavailable" }))
        }
    }
}
