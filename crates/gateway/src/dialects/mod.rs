//! The wire languages, a room each. Rooms know nothing of each other; a further language is a folder and a line here.

mod account;
mod assistant;
mod conversations;
mod direct;
mod groups;
mod openai;

/// What the benchmarks reach of the rooms.
#[cfg(feature = "bench")]
pub(crate) mod bench {
    pub(crate) use super::direct::bench::{announcer as direct, is_request as is_direct};
    pub(crate) use super::groups::bench::{announcer as groups, is_request as is_groups};
}

use actix_web::web::ServiceConfig;
use confab_cache::Cache;

use crate::Gateway;
use crate::docs::asyncapi::Channel;
use crate::docs::openapi;
use crate::settings::Settings;

/// Every room, open.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    assistant: assistant::Room,
    conversations: conversations::Room,
    direct: direct::Room,
    groups: groups::Groups,
    openai: openai::Room,
}

impl Rooms {
    /// Opens every room; what one needs in the background is started here.
    pub(crate) fn open(settings: &Settings, gateway: &Gateway, cache: &Cache) -> Self {
        Self {
            assistant: assistant::Room::open(&settings.assistant, gateway, cache),
            conversations: conversations::Room::open(&settings.conversations),
            direct: direct::Room::open(),
            groups: groups::Groups::open(&settings.groups),
            openai: openai::Room::open(&settings.openai),
        }
    }

    /// The routes of every room. The assistant's `/ws` takes every path below it that no room before it has taken. Whatever
    /// comes before a path is compared with it first, so OpenAI's, where every microsecond adds to the first word, are at the front.
    pub(crate) fn routes(&self, config: &mut ServiceConfig, gateway: &Gateway) {
        self.openai.routes(config, gateway);
        groups::routes(config, self.groups.clone());
        self.direct.routes(config, gateway);
        account::routes(config, gateway);
        self.conversations.routes(config, gateway);
        self.assistant.routes(config, gateway);
    }
}

/// The requests of every room, in the order in which they are shown.
pub(crate) fn described() -> Vec<openapi::Room> {
    vec![
        account::described(),
        assistant::described(),
        conversations::described(),
        direct::described(),
        openai::described(),
    ]
}

/// The sockets of every room.
pub(crate) fn channels() -> Vec<Channel> {
    vec![assistant::channel(), groups::channel(), direct::channel()]
}
