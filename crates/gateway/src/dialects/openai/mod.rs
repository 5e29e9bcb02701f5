//! `/v1`: the part of OpenAI's API that its SDKs use most: models, chat completions, embeddings.
//!
//! A base URL and an API key are all that a program has to change. What a chat completion asks for reaches the provider
//! as it was sent, and what the provider says comes back as it is, so tools, images, formats and whatever is new work
//! without being known here. Differences:
//!
//! - A credential is always needed, in open mode as well: somebody pays. It is an API key or a user's access token, in
//!   `Authorization: Bearer` only. Keys have scopes: `models`, `chat`, `embeddings`, and for conversations
//!   `conversations` besides `chat`.
//! - A model that is not granted reads like one that does not exist.
//! - Who has no money or whose key's budget is used up gets 429 `insufficient_quota`, as from OpenAI, together with
//!   `x-should-retry: false`, which the SDKs honour. So does each answer that would be the same again.
//! - The `created` of a model is 0: the catalogue knows no dates.
//! - Embeddings take texts; lists of tokens are refused, as tokens mean something else to each model.
//!
//! A completion may belong to a **conversation** that Confab stores: `metadata.conversation_id` in the body, or the header
//! `x-confab-conversation`, names it by UUID or number. The messages of the request are then what is new, not the whole
//! history: instructions (`system`, `developer`) hold for this answer and are not stored, earlier messages are appended,
//! and the last one is the question. Texts only. The answer is written to its end when the client goes away, and is
//! stored; with an `Idempotency-Key` the same request gives the same answer. A thread that was made for one model is
//! answered by that one.
//!
//! The room does not hold answers back or gather them: an event is on its way when it is there. What fails before the first
//! one has a status of its own, what fails later is an event `{"error": …}`, the last one and without `[DONE]`.

mod chat;
mod conversation;
mod embeddings;
mod events;
mod fault;
mod models;
mod stamp;
#[cfg(test)]
mod tests;
mod turn;
mod visit;
mod wire;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};
use utoipa::OpenApi;

use crate::Gateway;
use crate::docs::openapi;
use crate::settings::OpenAi as Settings;
use conversation::Numbers;
use fault::Refused;

#[derive(OpenApi)]
#[openapi(paths(models::list, models::get, chat::complete, embeddings::embed))]
struct Api;

/// This room's requests.
pub(super) fn described() -> openapi::Room {
    openapi::Room {
        name: "openai",
        about: "What clients of OpenAI's API speak: set their base URL to `/v1` and their key to one of Confab's.",
        api: Api::openapi(),
        examples: &[],
    }
}

/// This room.
#[derive(Debug, Clone)]
pub(super) struct Room {
    body_bytes: usize,
    numbers: Numbers,
}

impl Room {
    pub(super) fn open(settings: &Settings) -> Self {
        Self {
            body_bytes: settings.body_bytes,
            numbers: Numbers::default(),
        }
    }

    pub(super) fn routes(&self, config: &mut ServiceConfig, gateway: &Gateway) {
        let scope = web::scope("/v1")
            .app_data(web::Data::new(self.clone()))
            .wrap(from_fn(stamp::stamp))
            .wrap(gateway.origins.cors().expose_any_header())
            .service(resource(
                "/chat/completions",
                web::post().to(chat::complete),
            ))
            .service(resource("/models", web::get().to(models::list)))
            .service(resource("/embeddings", web::post().to(embeddings::embed)))
            .service(
                Resource::new("/models/{id:.+}")
                    .route(web::get().to(models::get))
                    .default_service(web::to(wrong_method)),
            )
            .default_service(web::to(unknown_path));
        config.service(scope);
    }
}

/// A path with and without a final slash.
fn resource(path: &str, route: Route) -> Resource {
    Resource::new([path.to_owned(), format!("{path}/")])
        .route(route)
        .default_service(web::to(wrong_method))
}

async fn unknown_path() -> HttpResponse {
    Refused::unknown_path().into()
}

async fn wrong_method() -> HttpResponse {
    Refused::wrong_method().into()
}
