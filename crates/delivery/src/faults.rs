//! Entries that go wrong on their way, on purpose: what shows that the checks of a whole system notice.

use std::sync::{Arc, Mutex, PoisonError};

use confab_rpc::delivery::Events;
use confab_rpc::threads::Entry;

use crate::Delivery;

/// The share of entries, 0 to 1, that each thing happens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shares {
    /// Is lost.
    pub drop: f64,
    /// Arrives twice.
    pub double: f64,
    /// Changes places with the one after it in its message, or is kept until the next message.
    pub swap: f64,
}

/// What goes wrong from a seed on; the same calls go wrong in the same way.
#[derive(Debug, Clone)]
pub struct Faults {
    shares: Shares,
    dice: Arc<Mutex<Dice>>,
}

#[derive(Debug)]
struct Dice {
    random: fastrand::Rng,
    kept: Option<Entry>,
}

impl Faults {
    /// Faults by these shares.
    #[must_use]
    pub fn new(shares: Shares, seed: u64) -> Self {
        let dice = Dice {
            random: fastrand::Rng::with_seed(seed),
            kept: None,
        };
        Self {
            shares,
            dice: Arc::new(Mutex::new(dice)),
        }
    }

    pub(crate) fn apply(&self, events: Events) -> Events {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::with_capacity(events.entries.len() + 1);
        for entry in events.entries {
            if dice.random.f64() < self.shares.drop {
                continue;
            }
            if dice.random.f64() < self.shares.double {
                entries.push(entry.clone());
            }
            if dice.kept.is_none() && dice.random.f64() < self.shares.swap {
                dice.kept = Some(entry);
                continue;
            }
            entries.push(entry);
            entries.extend(dice.kept.take());
        }
        Events { entries }
    }
}

impl Delivery {
    /// The same way, on which what is published goes wrong.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }
}
