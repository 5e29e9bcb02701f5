//! Group chats over a socket (`/ws/chats/`, requests by a word in `type`). The path works with and without its slash.
//!
//! The language is the one of an existing server and is kept as it is, with these deviations:
//!
//! - There is always a credential, in open mode too; without one the handshake fails with 403.
//! - A user sees the chats that the user is in, and one that the user made as long as nobody is in it. Any other chat reads
//!   like one that there is not. Joining is open to whoever knows a chat's number, unless
//!   `gateway.groups.open_join` is off: then only to who made it.
//! - What others do is pushed, in the shape of the reply that they got: `messageCreated`, `chatJoined` (switched by
//!   `gateway.groups.push`). A request is answered first; its socket does not get its push as well.
//! - `is_read` of a new message is repeated to its sender as given. Everywhere else it says whether the *reader* has read
//!   the message: it is the reader's own, or not after the reader's mark, which `last_read_message` moves.
//! - A chat between two people of the other language is a chat here as well. Its files have the text that came with them
//!   (often none) and `attached_file_name`, shared cards `attached_profile`.
//! - `getChatMessages` gives the newest 500 at most. Days are those of UTC, or of the time zone named by `tz`.
//! - Messages and pushes carry `seq`; `newMessage` takes a `client_msg_id`.

mod announce;
#[cfg(feature = "bench")]
pub(super) mod bench;
mod channel;
mod days;
mod request;
mod room;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::live::Announcer;
use crate::settings::Groups as Settings;
use crate::{Gateway, socket};
use announce::Chats;
pub(super) use channel::channel;
use room::Room;

/// What all sockets of this room share.
#[derive(Clone)]
struct Shared {
    announcer: Arc<dyn Announcer>,
    open_join: bool,
}

/// The routes of this room.
pub(super) fn routes(config: &mut ServiceConfig, shared: Groups) {
    let sockets = web::resource(["/ws/chats", "/ws/chats/"])
        .app_data(web::Data::new(shared.0))
        .default_service(web::to(connect));
    config.service(sockets);
}

/// This room.
#[derive(Clone)]
pub(super) struct Groups(Shared);

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

impl Groups {
    pub(super) fn open(settings: &Settings) -> Self {
        Self(Shared {
            announcer: Arc::new(Chats {
                push: settings.push,
            }),
            open_join: settings.open_join,
        })
    }
}

async fn connect(
    request: HttpRequest,
    gateway: web::Data<Gateway>,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let dialect = |guest| Room::new(guest, &gateway, shared.open_join);
    let announcer = Arc::clone(&shared.announcer);
    socket::upgrade_live(&request, &gateway, announcer, dialect).await
}
