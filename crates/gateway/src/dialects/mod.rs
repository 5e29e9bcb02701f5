//! The wire languages, a room each. Rooms know nothing of each other; a further language is a folder and a line here.

mod account;
mod assistant;
mod direct;
mod groups;

use actix_web::web::ServiceConfig;
use confab_cache::Cache;

use crate::Gateway;
use crate::settings::Settings;

/// Every room, open.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    assistant: assistant::Room,
    direct: direct::Room,
    groups: groups::Groups,
}

impl Rooms {
    /// Opens every room; what one needs in the background is started here.
    pub(crate) fn open(settings: &Settings, gateway: &Gateway, cache: &Cache) -> Self {
        Self {
            assistant: assistant::Room::open(&settings.assistant, gateway, cache),
            direct: direct::Room::open(),
            groups: groups::Groups::open(&settings.groups),
        }
    }

    /// The routes of every room. The assistant's `/ws` takes every path below it that no room before it has taken.
    pub(crate) fn routes(&self, config: &mut ServiceConfig, gateway: &Gateway) {
        groups::routes(config, self.groups.clone());
        self.direct.routes(config, gateway);
        account::routes(config, gateway);
        self.assistant.routes(config, gateway);
    }
}
