//! How a process is set up: its settings, and the services behind completions.

use std::path::Path;
use std::sync::Arc;

use confab_completions::{Lanes, Settings};
use confab_database::Database;
use confab_rpc::attachments::attachments_server::AttachmentsServer;
use confab_rpc::sessions::sessions_server::SessionsServer;
use confab_rpc::threads::Entry;
use confab_rpc::threads::threads_server::ThreadsServer;
use confab_runtime::clock::ManualClock;
use confab_runtime::settings::Layers;
use confab_runtime::{Clock, Tasks};
use serde::Deserialize;

use crate::wire::Wire;

/// A setting of the tests alone: what answers for `LLAMA` when its provider does not. The environment, through which
/// settings are overridden here, does not reach into lists.
pub(crate) const ALTERNATIVE: &str = "alternative";
const DEFAULTS: &str = include_str!("../../../confab/default.toml");
/// The lease of a process here, if nothing else is said: so long that only the test's clock ends it.
const LEASE_SECONDS: u32 = 3600;

#[derive(Deserialize)]
pub(crate) struct Tree {
    sessions: confab_sessions::Settings,
    threads: confab_threads::Settings,
    attachments: confab_attachments::Settings,
    pub(crate) completions: Settings,
}

/// Nobody delivers what people write here.
#[derive(Debug)]
struct Nowhere;

impl confab_threads::Outlet for Nowhere {
    fn committed(&self, _: &[Entry]) {}
}

pub(crate) fn owned(overrides: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    overrides
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
}

pub(crate) fn tree(overrides: &[(String, String)], folder: &Path) -> Tree {
    let mut defaults = DEFAULTS.to_owned();
    if let Some((_, name)) = overrides.iter().find(|(key, _)| key == ALTERNATIVE) {
        let llama = "name = \"llama3.1:8b\"\n";
        let with = format!("{llama}alternatives = [\"{name}\"]\n");
        defaults = defaults.replacen(llama, &with, 1);
    }
    let lease = ("lease_seconds".to_owned(), LEASE_SECONDS.to_string());
    let overrides = overrides.iter().filter(|(key, _)| key != ALTERNATIVE);
    let mut environment: std::collections::HashMap<_, _> = std::iter::once(&lease)
        .chain(overrides)
        .map(|(key, value)| {
            let key = key.replace('.', "__").to_uppercase();
            (format!("CONFAB__COMPLETIONS__{key}"), value.clone())
        })
        .collect();
    let files = folder.join("files").display().to_string();
    environment.insert("CONFAB__ATTACHMENTS__DIRECTORY".to_owned(), files);
    Layers {
        defaults: &defaults,
        environment,
        ..Layers::default()
    }
    .merge()
    .unwrap()
    .read()
    .unwrap()
}

/// The services behind completions, in this process.
pub(crate) async fn lanes(
    database: &Database,
    tree: &Tree,
    clock: &ManualClock,
    tasks: &Tasks,
    wire: &Wire,
) -> Lanes {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let sessions = confab_sessions::Service::open(
        database.clone(),
        &tree.sessions,
        Arc::clone(&clock),
        tasks.clone(),
    )
    .await
    .unwrap();
    let threads = confab_threads::Service::open(
        database.clone(),
        &tree.threads,
        Arc::new(Nowhere),
        Arc::clone(&clock),
        tasks.clone(),
    );
    let attachments = confab_attachments::Service::open(
        database.clone(),
        &tree.attachments,
        clock,
        tasks.clone(),
    )
    .await
    .unwrap();
    Lanes {
        sessions: wire.lane(SessionsServer::new(sessions)),
        threads: wire.lane(ThreadsServer::new(threads)),
        attachments: wire.lane(AttachmentsServer::new(attachments)),
    }
}
