//! What the processes of a topology are told.

use std::net::SocketAddr;
use std::path::Path;

use super::{End, Part};
use crate::supervisor::Servers;

/// The roles whose rows lie in a database.
const WITH_DATABASE: [&str; 5] = [
    "sessions",
    "threads",
    "attachments",
    "completions",
    "search",
];

/// The models that everybody may ask.
pub const MODELS: [i32; 1] = [4];
/// What everybody may spend, in micro-dollars.
pub const DEPOSIT: i64 = 100_000_000;

/// What every process of a topology is told besides where the others are.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// By dotted key.
    pub chosen: Vec<(String, String)>,
    /// The base URL of the model provider.
    pub provider: String,
    /// What goes wrong in which process, as `FAILPOINTS` says it.
    pub failpoints: Vec<(Part, String)>,
    /// By how many seconds which process's clock is ahead.
    pub clocks: Vec<(Part, i64)>,
    /// Distinguishes what is sent through a broker that is used again.
    pub exchange: String,
}

impl Settings {
    /// All in one on SQLite.
    pub(super) fn of_one(&self, folder: &Path) -> Vec<(String, String)> {
        let mut settings = self.common(folder);
        for role in WITH_DATABASE {
            let file = folder.join(format!("{role}.db"));
            settings.push((
                format!("{role}.database.url"),
                format!("sqlite:{}", file.display()),
            ));
        }
        settings.extend(self.chosen.iter().cloned());
        settings
    }

    /// One of many, with everything where it really is.
    pub(super) fn of_split(
        &self,
        folder: &Path,
        servers: &Servers,
        database: &str,
    ) -> Vec<(String, String)> {
        let mut settings = self.common(folder);
        settings.push(("delivery.exchange".to_owned(), self.exchange.clone()));
        for role in WITH_DATABASE {
            settings.push((format!("{role}.database.max_connections"), "8".to_owned()));
            settings.push((format!("lanes.{role}.listen"), "127.0.0.1:0".to_owned()));
        }
        for (end, address) in servers.ends() {
            settings.extend(self.through(end, address, servers, database));
        }
        settings.extend(self.chosen.iter().cloned());
        settings
    }

    /// The settings that say that something is at an address.
    pub(super) fn through(
        &self,
        end: End,
        address: SocketAddr,
        servers: &Servers,
        database: &str,
    ) -> Vec<(String, String)> {
        let _ = self;
        match end {
            End::Postgres => {
                let url = servers.postgres_url(address, database);
                let keys = WITH_DATABASE.map(|role| format!("{role}.database.url"));
                keys.map(|key| (key, url.clone())).to_vec()
            }
            End::Redis => vec![("cache.url".to_owned(), format!("redis://{address}"))],
            End::RabbitMq => {
                let url = format!("amqp://guest:guest@{address}/%2f");
                vec![("delivery.url".to_owned(), url)]
            }
            End::Role(role) => vec![(format!("lanes.{role}.url"), format!("http://{address}"))],
        }
    }

    pub(super) fn failpoints_of(&self, part: Part) -> String {
        let mine = self.failpoints.iter().filter(|(of, _)| *of == part);
        let points: Vec<&str> = mine.map(|(_, points)| points.as_str()).collect();
        points.join(";")
    }

    pub(super) fn clock_of(&self, part: Part) -> Option<i64> {
        let mut clocks = self.clocks.iter();
        clocks
            .find(|(of, _)| *of == part)
            .map(|(_, seconds)| *seconds)
    }

    fn common(&self, folder: &Path) -> Vec<(String, String)> {
        let attachments = folder.join("attachments").display().to_string();
        let models = MODELS.map(|model| model.to_string()).join(",");
        let deposit = DEPOSIT.to_string();
        let common = [
            ("gateway.listen", "127.0.0.1:0"),
            ("gateway.auth.mode", "token"),
            // So that a silent gateway is noticed within a scenario.
            ("gateway.sockets.ping_seconds", "2"),
            ("sessions.registration.models", models.as_str()),
            ("sessions.registration.deposit_microdollars", &deposit),
            ("completions.agent_context.listen", "127.0.0.1:0"),
            ("completions.providers.openai.base_url", &self.provider),
            ("completions.providers.openai.api_key", "chaos"),
            ("completions.summarise", "false"),
            ("completions.lease_seconds", "3"),
            ("attachments.directory", &attachments),
            ("attachments.max_file_mib", "32"),
            ("shutdown.grace_seconds", "10"),
        ];
        let common = common.map(|(key, value)| (key.to_owned(), value.to_owned()));
        common.to_vec()
    }
}
