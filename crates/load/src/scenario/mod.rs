//! What the loads are, a file each.

mod chat;
mod direct;
mod history;
mod idle;
mod reconnect;
mod room;
mod sockets;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::LoadError;
use crate::check::Checks;
use crate::front_end::FrontEnd;
use crate::measure::{Counts, Latencies, Summary};
use crate::options::{Options, Plan, Scenario};
use crate::process::{Usage, Used};

/// How long what is under way at the end may take.
const GRACE: Duration = Duration::from_secs(10);

/// What everybody in a load shares.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) front_end: FrontEnd,
    pub(crate) beside: Option<Url>,
    pub(crate) key: Option<String>,
    pub(crate) model: String,
    pids: Vec<u32>,
    /// What times in messages count from.
    pub(crate) origin: Instant,
    pub(crate) counts: Counts,
    pub(crate) checks: Checks,
    /// From when it was due to its confirmation.
    pub(crate) confirmed: Latencies,
    /// From when it was due to a receiver.
    pub(crate) delivered: Latencies,
}

/// What a load has shown.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Name, value, unit.
    pub(crate) figures: Vec<(&'static str, f64, &'static str)>,
    pub(crate) latencies: Vec<(&'static str, Summary)>,
    /// What the CPU time is divided by.
    pub(crate) counted: u64,
    /// Whether the memory that grew is that of the sockets.
    pub(crate) holds_sockets: bool,
}

impl Stage {
    pub(crate) fn new(options: &Options, plan: Plan) -> Result<Self, LoadError> {
        Ok(Self {
            plan,
            front_end: FrontEnd::new(options.targets())?,
            beside: options.beside.clone(),
            key: options.key.clone(),
            model: options.model.clone(),
            pids: options.pid.clone(),
            origin: Instant::now(),
            counts: Counts::default(),
            checks: Checks::default(),
            confirmed: Latencies::default(),
            delivered: Latencies::default(),
        })
    }

    /// What the processes of `--pid` have used up to now.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(&self.pids)
    }

    /// What they have used since then; `None` when none is watched.
    pub(crate) fn used_since(&self, before: Usage) -> Option<Used> {
        (!self.pids.is_empty()).then(|| before.until(self.usage()))
    }

    /// When what begins now ends.
    pub(crate) fn end(&self) -> Instant {
        Instant::now() + Duration::from_secs_f64(self.plan.duration)
    }

    pub(crate) fn done(&self) -> u64 {
        self.counts.done.load(Ordering::Relaxed)
    }

    /// Waits until everything that was begun is done and each of it was delivered so often, for a while.
    pub(crate) async fn settle(&self, deliveries_each: u64) {
        let patience = Instant::now() + GRACE;
        while Instant::now() < patience {
            let begun = self.counts.begun.load(Ordering::Relaxed);
            let delivered = self.counts.delivered.load(Ordering::Relaxed);
            if self.done() >= begun && delivered >= self.done() * deliveries_each {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Findings {
    pub(crate) fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push((name, value, unit));
    }

    pub(crate) fn latency(&mut self, name: &'static str, latencies: &Latencies) {
        self.latencies
            .extend(latencies.summary().map(|summary| (name, summary)));
    }
}

/// Plays the planned scenario.
pub(crate) async fn play(stage: &Arc<Stage>) -> Result<(Findings, Option<Used>), LoadError> {
    match stage.plan.scenario {
        Scenario::Direct => direct::play(stage).await,
        Scenario::Room => room::play(stage).await,
        Scenario::Idle => idle::play(stage).await,
        Scenario::Chat => chat::play(stage, false).await,
        Scenario::Ask => chat::play(stage, true).await,
        Scenario::History => history::play(stage).await,
        Scenario::Reconnect => reconnect::play(stage).await,
    }
}

/// A count in a second.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
pub(crate) fn per_second(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}
