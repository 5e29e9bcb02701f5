//! Which runs were left: their leases stayed as they were for as long as a lease lasts.
//!
//! Nobody compares what a lease says with a clock of their own: clocks of different machines differ, and are set. A process
//! looks at all leases in each round of its own, and what has not changed in so many rounds was left. Rounds in which the
//! database did not answer do not count, so an outage leaves nothing: its owners renew as soon as the watchers look.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::store::Seen;

#[cfg(test)]
mod tests;

/// Rounds in the length of a lease. Each owner renews, and each watcher looks, once in each.
pub(super) const ROUNDS: u32 = 3;

/// The leases as they were seen last, and for how many rounds they have looked like that.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<HashMap<Uuid, (Seen, u32)>>);

impl Watch {
    /// Looks at all leases under way; gives those that were left. What is not among them any more is forgotten.
    pub(super) fn look(&self, leases: &[Seen]) -> Vec<Seen> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let look = |lease: &Seen| {
            let rounds = match known.get(&lease.id) {
                Some((seen, rounds)) if seen == lease => rounds.saturating_add(1),
                _ => 0,
            };
            (lease.id, (*lease, rounds))
        };
        let looked: HashMap<_, _> = leases.iter().map(look).collect();
        *known = looked;
        let left = known.values().filter(|(_, rounds)| *rounds >= ROUNDS);
        left.map(|(seen, _)| *seen).collect()
    }
}
