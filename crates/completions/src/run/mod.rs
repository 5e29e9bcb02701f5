//! Runs: from a question to an answer that is stored and paid for.
//!
//! A run is one row under a lease. Its steps, each of which may be the last one before a crash:
//!
//! 1. the row, `reserving` ([`ask`]; [`admission`] has checked that the ask makes sense, [`prompting`] has put together
//!    what the model will read);
//! 2. the reservation; 3. the exchange in the thread ([`opening`]);
//! 4. the provider's text, in checkpoints ([`work`], [`answer`]); the row, `running`, if that takes longer than a moment;
//! 5. the row, `answered`, with outcome and cost ([`receipt`]);
//! 6. the answer's state, the settlement, the row, `ended` ([`ending`]).
//!
//! Whoever finds a run whose lease ran out raises the fence and does what is left ([`reaper`]); what was being answered
//! is asked anew where that can be done ([`restart`]). Anyone may wish that a run be stopped, in its row ([`cancel`]).
//!
//! What callers see of a run is in [`feed`]: filled by the process that works on the run, or copied from what that one
//! has stored ([`follow`], [`replay`]).

mod admission;
mod answer;
mod ask;
mod cancel;
mod ending;
mod feed;
mod follow;
mod lease;
mod opening;
mod prompting;
mod question;
mod reaper;
mod receipt;
mod replay;
mod restart;
mod telling;
mod trust;
mod watch;
mod work;

use std::sync::Arc;

use confab_database::Database;
use confab_runtime::{Clock, Tasks};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::backends::{Backends, Lanes};
use crate::catalogue::{Catalogue, Model};
use crate::chat::Funds;
use crate::provider::Registry;
use crate::settings::{ProviderSettings, Settings};
use crate::store::Store;
use crate::summary;
use crate::window::Windows;

use cancel::UnderWay;
use feed::Feeds;
pub(crate) use receipt::{Measure, Read, Receipt};
use trust::Trusted;
use watch::Watch;

/// Asks models and keeps account of it.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) catalogue: Catalogue,
    pub(crate) providers: Registry,
    pub(crate) backends: Backends,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) funds: Funds,
    /// The threads whose summary is being written here.
    pub(crate) summarising: summary::UnderWay,
    /// This process, in the rows it holds.
    owner: Uuid,
    feeds: Feeds,
    trusted: Trusted,
    watch: Watch,
    windows: Windows,
    under_way: UnderWay,
    /// Places for runs that are begun anew.
    anew: Semaphore,
}

/// How many runs are begun anew at once: a process that dies leaves many.
const ANEW: usize = 64;

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
            store: Store::new(database, tasks.clone()),
            clock,
            tasks,
            funds: Funds::default(),
            summarising: summary::UnderWay::default(),
            owner: Uuid::new_v4(),
            feeds: Feeds::default(),
            trusted: Trusted::default(),
            watch: Watch::default(),
            windows: Windows::default(),
            under_way: UnderWay::default(),
            anew: Semaphore::new(ANEW),
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

    /// Whether an agent may answer for this model.
    pub(crate) fn may_be_agent(&self, model: &Model) -> bool {
        let candidates = self.catalogue.candidates(model);
        candidates.iter().any(|candidate| {
            candidate.providers().any(|name| {
                let provider = self.settings.providers.get(name);
                provider.is_some_and(ProviderSettings::is_agent)
            })
        })
    }
}

/// Without the character that PostgreSQL cannot store.
pub(crate) fn without_nul(mut text: String) -> String {
    text.retain(|character| character != '\0');
    text
}
