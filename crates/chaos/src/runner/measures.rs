//! What is counted in a history.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use confab_testkit::history::{Lineage, Story, What};
use uuid::Uuid;

/// Times and numbers of a run.
#[derive(Debug, Clone, Default)]
pub struct Measures {
    /// Sends that were acknowledged.
    pub acked: usize,
    /// Sends of which nobody ever learned what became of them.
    pub unknown: usize,
    /// Sends of which that was unknown for a while, and which were acknowledged when they were repeated.
    pub recovered: usize,
    /// From the first attempt to send to each delivery to somebody else, of what was sent before the fault.
    pub before: Vec<Duration>,
    /// The same of everything.
    pub all: Vec<Duration>,
    /// From the heal until the last of what was sent before it was acknowledged and delivered to all.
    pub healing: Duration,
    /// From the end of each socket to the one that resumed it, but for the ends of the run's own.
    pub outages: Vec<Duration>,
}

impl Measures {
    /// Reads a history; `fault`, `heal` and `rest` are on its clock.
    #[must_use]
    pub fn of(story: &Story, fault: Duration, heal: Duration, rest: Duration) -> Self {
        let mut sent: BTreeMap<(Uuid, &str), Duration> = BTreeMap::new();
        let mut doubted = BTreeSet::new();
        let mut acked = BTreeSet::new();
        let mut closed: BTreeMap<Lineage, Duration> = BTreeMap::new();
        let mut measures = Self::default();
        for event in &story.events {
            let user = story.users[event.lineage.0];
            match &event.what {
                What::Invoke { key, .. } => {
                    sent.entry((user, key)).or_insert(event.at);
                }
                What::Unknown { key } => {
                    doubted.insert((user, key.as_str()));
                }
                What::Ack { key, .. } => {
                    acked.insert((user, key.as_str()));
                    measures.heals(sent.get(&(user, key)), event.at, heal);
                }
                What::Deliver(message) => {
                    let first = sent.get(&(message.sender, message.body.as_str()));
                    measures.heals(first, event.at, heal);
                    let Some(first) = first.filter(|_| user != message.sender) else {
                        continue;
                    };
                    let took = event.at.saturating_sub(*first);
                    measures.all.push(took);
                    if event.at < fault {
                        measures.before.push(took);
                    }
                }
                What::Close if event.at < rest => {
                    closed.insert(event.lineage, event.at);
                }
                What::Resume => {
                    let since = closed.remove(&event.lineage);
                    measures
                        .outages
                        .extend(since.map(|since| event.at.saturating_sub(since)));
                }
                _ => {}
            }
        }
        measures.acked = acked.len();
        measures.unknown = sent.keys().filter(|send| !acked.contains(send)).count();
        measures.recovered = doubted.iter().filter(|send| acked.contains(send)).count();
        for times in [
            &mut measures.before,
            &mut measures.all,
            &mut measures.outages,
        ] {
            times.sort_unstable();
        }
        measures
    }

    /// Something that was sent before the heal was seen.
    fn heals(&mut self, sent: Option<&Duration>, at: Duration, heal: Duration) {
        if sent.is_some_and(|sent| *sent < heal) && at > heal {
            self.healing = self.healing.max(at.saturating_sub(heal));
        }
    }
}

/// The value below which this share of sorted times lies; nothing when there are none.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list that is in memory"
)]
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    let place = place.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().unwrap_or_default()
}
