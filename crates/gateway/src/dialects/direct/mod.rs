//! Messages between two people: REST under `/chat/`, a socket at `/ws/chat/room/` whose frames say what they are in
//! `action`, files under `/media/chat-files/`. Every path works with and without its final slash.
//!
//! The language is the one of existing front ends and is kept as it is, with these deviations:
//!
//! - Users carry every key that the original sent, but none of what must not leave: `password` is empty, nobody is staff,
//!   and the address, phone number and birthday are there for their owner only. A shared card shows the phone number
//!   when it was its owner who shared it.
//! - Envelopes hold their content twice, as `data` and as `entity`: the original used now one, now the other.
//! - Messages have the keys of both editions (`updated_at` and `updated`, …), frames have the text under both names
//!   (`message` and `message_body`), and both have `seq`. Frames also have `thread`, those of a file `attached_file`.
//! - A request that is refused is answered with `{"action": "error", "message": …, "request_action": …}`, which front ends
//!   of the original pass over; there the socket broke or nothing came. Beside the contract's texts there are
//!   `Invalid message` (none, or longer than 16 KiB), `Invalid profile`, `Invalid client_msg_id` and
//!   `Service unavailable`.
//! - A file is announced by its sender only, and once: a repeat is confirmed to the socket that asked and goes to nobody.
//! - Files are not found by their names: their paths have an unguessable part, and only the two people may read them.
//! - There is always a credential, in open mode too, and it is an access token or a ticket.
//!
//! Groups are another language's. What that language sends into a thread between two people is shown here as well.

mod announce;
#[cfg(feature = "bench")]
pub(super) mod bench;
mod channel;
mod fault;
mod frames;
mod handlers;
mod listing;
mod media;
mod request;
#[cfg(test)]
mod tests;
mod text;
mod upload;
mod wire;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use utoipa::OpenApi;

use crate::docs::openapi::{self, Example};
use crate::live::Announcer;
use crate::{Gateway, socket};
use announce::DirectAnnouncer;
pub(super) use channel::channel;
use frames::Direct;

#[derive(OpenApi)]
#[openapi(paths(
    handlers::messages,
    handlers::threads,
    handlers::files,
    upload::post,
    media::get,
))]
struct Api;

/// This room's requests.
pub(super) fn described() -> openapi::Room {
    openapi::Room {
        name: "direct",
        about: "Messages between two people: what is read by REST, and files. Every path works without its final slash as well.",
        api: Api::openapi(),
        examples: &[
            Example {
                operation: "messages",
                status: "200",
                body: include_str!("golden/no_messages.json"),
            },
            Example {
                operation: "messages",
                status: "404",
                body: include_str!("golden/not_found.json"),
            },
            Example {
                operation: "messages",
                status: "401",
                body: include_str!("golden/no_credential.json"),
            },
            Example {
                operation: "threads",
                status: "200",
                body: include_str!("golden/no_threads.json"),
            },
            Example {
                operation: "threads",
                status: "401",
                body: include_str!("golden/bad_credential.json"),
            },
        ],
    }
}

/// This room.
#[derive(Clone)]
pub(super) struct Room {
    announcer: Arc<dyn Announcer>,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Room {
    pub(super) fn open() -> Self {
        Self {
            announcer: Arc::new(DirectAnnouncer),
        }
    }

    pub(super) fn routes(&self, config: &mut ServiceConfig, gateway: &Gateway) {
        let cors = || gateway.origins.cors();
        let messages = web::resource(["/chat/messages/{uid}", "/chat/messages/{uid}/"])
            .wrap(cors())
            .route(web::get().to(handlers::messages));
        let attachment = web::resource(["/chat/attachment", "/chat/attachment/"])
            .wrap(cors())
            .route(web::post().to(upload::post));
        let threads = web::resource(["/chat/user/threads", "/chat/user/threads/"])
            .wrap(cors())
            .route(web::get().to(handlers::threads));
        let files = web::resource([
            "/chat/thread/files/{thread}",
            "/chat/thread/files/{thread}/",
        ])
        .wrap(cors())
        .route(web::get().to(handlers::files));
        let media = web::resource("/media/chat-files/{id}/{name}")
            .wrap(cors())
            .route(web::get().to(media::get))
            .route(web::head().to(media::get));
        let socket = web::resource(["/ws/chat/room", "/ws/chat/room/"])
            .app_data(web::Data::new(self.clone()))
            .default_service(web::to(connect));
        config
            .service(messages)
            .service(attachment)
            .service(threads)
            .service(files)
            .service(media)
            .service(socket);
    }
}

async fn connect(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> HttpResponse {
    let dialect = |guest| Direct::new(guest, &gateway);
    let announcer = Arc::clone(&room.announcer);
    socket::upgrade_live(&request, &gateway, announcer, dialect).await
}
