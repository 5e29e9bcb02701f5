//! What goes wrong: a file for each kind of fault.
//!
//! A scenario is a [`Scenario`]: what is special about the system and the load that it needs, what it does to them between
//! the times of fault and heal, and what it wants besides the invariants that every history is judged by. The
//! [runner](crate::runner) does everything else.

mod broker;
mod cache;
mod clients;
mod clocks;
mod database;
mod disk;
mod drain;
mod hints;
mod hostile;
mod membership;
mod partition;
mod probe;
mod process;
mod provider;
mod slow;
mod upload;

use std::time::Duration;

use async_trait::async_trait;

use crate::load::Load;
use crate::runner::{Evidence, Stage};
use crate::topology::{Layout, Part};

/// Something that goes wrong.
#[async_trait(?Send)]
pub trait Scenario {
    /// Its name: `F01`.
    fn id(&self) -> &'static str;

    /// What goes wrong, in a few words.
    fn title(&self) -> &'static str;

    /// Whether it is among those that every change has to pass.
    fn in_smoke(&self) -> bool {
        false
    }

    /// What it happens to.
    fn layout(&self) -> Layout {
        Layout::Split
    }

    /// Settings that differ from those of every scenario, by dotted key.
    fn settings(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What goes wrong in which process from its start on, as `FAILPOINTS` says it; what is left to chance is drawn from `rng`.
    fn failpoints(&self, _rng: &mut fastrand::Rng) -> Vec<(Part, String)> {
        Vec::new()
    }

    /// By how many seconds which process's clock is ahead of the machine's from its start on, or behind when less than 0.
    fn clocks(&self) -> Vec<(Part, i64)> {
        Vec::new()
    }

    /// What this machine does not have that it takes, for people; then it is not run, and said not to have been.
    fn missing(&self) -> Option<String> {
        None
    }

    /// What the system has to carry meanwhile.
    fn load(&self) -> Load {
        Load::default()
    }

    /// How long it may take from the heal on until everybody has heard what was said before.
    fn recovers_within(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Errors that processes may report, by a text in them. A panic is never allowed.
    fn allowed_errors(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether the servers can be used by another scenario afterwards.
    fn leaves_servers_whole(&self) -> bool {
        true
    }

    /// Lets it go wrong: called when a quarter of the time is over, and expected to be back when [`Stage::until_heal`] is.
    async fn fault(&self, stage: &mut Stage);

    /// Mends what `fault` has left broken.
    async fn heal(&self, _stage: &mut Stage) {}

    /// Judges what is special about it, when everything has come to rest: what is wrong goes to [`Stage::wrong`].
    async fn judge(&self, _stage: &mut Stage, _evidence: &Evidence) {}
}

/// Every scenario, in the order of their names.
#[must_use]
pub fn all() -> Vec<Box<dyn Scenario>> {
    let mut all: Vec<Box<dyn Scenario>> = Vec::new();
    all.extend(hints::all());
    all.extend(hostile::all());
    all.extend(membership::all());
    all.extend(broker::all());
    all.extend(cache::all());
    all.extend(clients::all());
    all.extend(clocks::all());
    all.extend(database::all());
    all.extend(disk::all());
    all.extend(partition::all());
    all.extend(drain::all());
    all.extend(process::all());
    all.extend(provider::all());
    all.extend(slow::all());
    all.extend(upload::all());
    all.sort_by_key(|scenario| scenario.id());
    all
}
