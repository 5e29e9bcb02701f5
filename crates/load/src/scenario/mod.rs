//! What the loads are, a file each.

mod asking;
mod history;
mod idle;
mod label;
mod mixed;
mod reconnect;
mod rolling;
mod sockets;
mod stage;
mod talk;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;

use crate::LoadError;
use crate::measure::{Latencies, Summary};
use crate::options::Scenario;
use crate::process::Used;
pub(crate) use stage::Stage;

/// What a load has shown.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Findings {
    pub(crate) figures: Vec<Figure>,
    pub(crate) latencies: Vec<Latency>,
    /// What the CPU time is divided by.
    pub(crate) counted: u64,
    /// Whether the memory that grew is that of the sockets.
    pub(crate) holds_sockets: bool,
    #[serde(flatten)]
    pub(crate) used: Used,
}

/// A number that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// How long something took.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) name: String,
    /// In milliseconds.
    #[serde(flatten)]
    pub(crate) took: Summary,
}

impl Findings {
    /// Of so many things that were done.
    pub(crate) fn of(counted: u64, used: Used) -> Self {
        Self {
            counted,
            used,
            ..Self::default()
        }
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            unit,
        });
    }

    pub(crate) fn latency(&mut self, name: &str, latencies: &Latencies) {
        self.latencies
            .extend(latencies.summary().map(|took| Latency {
                name: name.to_owned(),
                took,
            }));
    }

    /// Takes in what a part of the load has found.
    fn absorb(&mut self, part: &str, findings: Self) {
        let called = |name: &str| format!("{part}: {name}");
        self.counted += findings.counted;
        self.figures
            .extend(findings.figures.into_iter().map(|figure| Figure {
                name: called(&figure.name),
                ..figure
            }));
        self.latencies
            .extend(findings.latencies.into_iter().map(|latency| Latency {
                name: called(&latency.name),
                ..latency
            }));
    }
}

/// Plays the planned scenario.
pub(crate) async fn play(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    match stage.plan.scenario {
        Scenario::Mixed => mixed::play(stage).await,
        _ => play_one(stage).await,
    }
}

/// Plays one that is no mixture.
async fn play_one(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    match stage.plan.scenario {
        Scenario::Direct => talk::play_pairs(stage).await,
        Scenario::Room => talk::play_room(stage).await,
        Scenario::Idle => idle::play(stage).await,
        Scenario::Chat => asking::play(stage, false).await,
        Scenario::Ask => asking::play(stage, true).await,
        Scenario::History => history::play(stage).await,
        Scenario::Reconnect if stage.plan.rate.is_some() => rolling::play(stage).await,
        Scenario::Reconnect => reconnect::play(stage).await,
        Scenario::Mixed => Err(LoadError::Plan("a mixture has no mixture in it".to_owned())),
    }
}
