//! Runs: from a question to an answer that is stored and paid for.
//!
//! A run is one row under a lease. Its steps, each of which may be the last one before a crash:
//!
//! 1. the row, `reserving` ([`ask`]; [`admission`] has checked that the ask makes sense);
//! 2. the reservation; 3. the exchange in the thread ([`opening`]);
//! 4. the row, `running`; the provider's text, in checkpoints ([`answer`]);
//! 5. the row, `answered`, with outcome and cost ([`receipt`]);
//! 6. the answer's state, the settlement, the row, `ended` ([`ending`]).
//!
//! Whoever finds a run whose lease ran out raises the fence and does what is left ([`reaper`]). What callers see of a
//! run is in [`feed`] and [`replay`].

mod admission;
mod answer;
mod ask;
mod ending;
mod feed;
mod lease;
mod opening;
mod question;
mod reaper;
mod receipt;
mod replay;

use std::sync::Arc;

use confab_database::Database;
use confab_runtime::{Clock, Tasks};
use uuid::Uuid;

use crate::backends::{Backends, Lanes};
use crate::catalogue::{Catalogue, Model};
use crate::provider::Registry;
use crate::settings::{ProviderSettings, Settings};
use crate::store::Store;
use crate::summary::UnderWay;

use feed::Feeds;
pub(crate) use receipt::{Measure, Read, Receipt};

/// Asks models and keeps account of it.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) catalogue: Catalogue,
    pub(crate) providers: Registry,
    pub(crate) backends: Backends,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    /// The threads whose summary is being written here.
    pub(crate) summarising: UnderWay,
    /// This process, in the rows it holds.
    owner: Uuid,
    feeds: Feeds,
}

impl Engine {
    pub(crate) fn new(
        database: Database,
        settings: Settings,
        providers: Registry,
        lanes: Lanes,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        Self {
            catalogue: Catalogue::new(&settings),
            providers,
            backends: Backends::new(lanes),
            store: Store::new(database),
            clock,
            tasks,
            summarising: UnderWay::default(),
            owner: Uuid::new_v4(),
            feeds: Feeds::default(),
            settings,
        }
    }

    /// Where agents are told to ask back.
    fn agent_context_address(&self) -> String {
        let settings = &self.settings.agent_context;
        if settings.advertise.is_empty() {
            settings.listen.to_string()
        } else {
            settings.advertise.clone()
        }
    }

    /// Whether an agent answers for this model.
    fn is_agent(&self, model: &Model) -> bool {
        self.settings
            .providers
            .get(&model.provider)
            .is_some_and(ProviderSettings::is_agent)
    }
}

/// Without the character that PostgreSQL cannot store.
pub(crate) fn without_nul(mut text: String) -> String {
    text.retain(|character| character != '\0');
    text
}
