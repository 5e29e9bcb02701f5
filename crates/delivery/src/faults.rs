//! Hints that go wrong on their way, on purpose, as often as failpoints say: what shows that nothing depends on them.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use confab_rpc::delivery::Events;
use confab_rpc::threads::Entry;

use crate::To;

/// An entry is lost.
const DROP: &str = "drop_hint";
/// It arrives twice.
const DOUBLE: &str = "dup_hint";
/// It arrives after the next one of its thread that goes the same way.
const SWAP: &str = "swap_hints";

/// What is kept back to be late.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<HashMap<(To, i64), Entry>>>);

impl Faults {
    pub(crate) fn apply(&self, to: &To, events: Events) -> Events {
        self.alter(to, events, |point| fail::eval(point, |_| ()).is_some())
    }

    fn alter(&self, to: &To, events: Events, mut strikes: impl FnMut(&str) -> bool) -> Events {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::with_capacity(events.entries.len() + 1);
        for entry in events.entries {
            if strikes(DROP) {
                continue;
            }
            if strikes(DOUBLE) {
                entries.push(entry.clone());
            }
            let place = (to.clone(), entry.thread);
            if let Some(late) = kept.remove(&place) {
                entries.extend([entry, late]);
            } else if strikes(SWAP) {
                kept.insert(place, entry);
            } else {
                entries.push(entry);
            }
        }
        Events { entries }
    }
}
