//! AI sessions over a socket (`/ws`, requests by a number in `type`), with `POST /upload` and `GET /uploads/<name>`.
//!
//! The language is the one of an existing front end and is kept as it is, with these deviations:
//!
//! - Requests never close the socket. Failures are always `{"error": "text"}`; a request without a `type` is
//!   `Unknown Message` instead of a repetition of the one before.
//! - Sessions, files and balances are the acting user's own. Somebody else's session reads like one that there is not,
//!   and in token mode somebody else's user id like the id of no user. In open mode a socket serves one user: the
//!   first one it has used.
//! - A model may be named (`model_name`) or numbered (`model_id`); one that there is not, is not granted or is not named
//!   is refused instead of replaced by model 0.
//! - Session names are cut between characters, and a message of 20 characters without a space can name a session.
//! - The session list is never `null` and has the last active session first.
//! - An oversize upload is answered with JSON that a browser may read.

mod channel;
mod chat;
mod download;
mod fault;
mod handlers;
mod mirror;
mod names;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use confab_cache::Cache;
use utoipa::OpenApi;

use crate::caller::Acting;
use crate::docs::openapi;
use crate::settings::{Assistant as Settings, Mirror as MirrorSetting};
use crate::{Gateway, socket};
pub(super) use channel::channel;
use handlers::Assistant;
use mirror::Mirror;

/// The session id with which a client asks for a new session.
const NEW: &str = "NEW";

#[derive(OpenApi)]
#[openapi(paths(upload::post, download::get))]
struct Api;

/// This room's requests.
pub(super) fn described() -> openapi::Room {
    openapi::Room {
        name: "assistant",
        about: "Files of the AI-session front end; its sessions are a socket. In open mode no credential is needed.",
        api: Api::openapi(),
        examples: &[],
    }
}

/// This room.
#[derive(Debug, Clone)]
pub(super) struct Room {
    mirror: Option<Mirror>,
}

impl Room {
    pub(super) fn open(settings: &Settings, gateway: &Gateway, cache: &Cache) -> Self {
        let mirror = match settings.mirror {
            MirrorSetting::Off => None,
            MirrorSetting::RedisStream => Some(Mirror::start(
                settings.mirror_stream.clone(),
                cache.clone(),
                gateway.backends.clone(),
                &gateway.tasks,
            )),
        };
        Self { mirror }
    }

    pub(super) fn routes(&self, config: &mut ServiceConfig, gateway: &Gateway) {
        let upload = web::resource("/upload")
            .wrap(gateway.origins.cors())
            .route(web::post().to(upload::post))
            .default_service(web::to(method_not_allowed));
        let uploads = web::resource("/uploads/{name:.*}")
            .wrap(gateway.origins.cors())
            .route(web::get().to(download::get))
            .route(web::head().to(download::get));
        // The original matches by prefix.
        let sockets = web::resource(["/ws", "/ws/{rest:.*}"])
            .app_data(web::Data::new(self.clone()))
            .default_service(web::to(connect));
        config.service(upload).service(uploads).service(sockets);
    }
}

async fn connect(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> HttpResponse {
    let dialect = |caller| {
        let backends = gateway.backends.clone();
        Assistant::new(backends, Acting::new(caller), room.mirror.clone())
    };
    socket::upgrade(&request, &gateway, dialect).await
}

async fn method_not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, "POST, OPTIONS"))
        .content_type(ContentType::plaintext())
        .body("Method Not Allowed")
}
