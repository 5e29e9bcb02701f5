//! The cache of a single process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::{Count, Fields};

/// Entries that a stream keeps.
const STREAM_LENGTH: usize = 10_000;

/// Counters that are kept without a look at whether they have ended.
const COUNTERS: usize = 1024;

#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    streams: HashMap<String, VecDeque<Fields>>,
    /// Gateways, until when they count as alive.
    gateways: HashMap<String, Instant>,
    /// The gateways that hold sockets of a user, and until when that is believed.
    users: HashMap<Uuid, HashMap<String, Instant>>,
    counters: Counters,
}

/// Totals, and when each begins anew.
#[derive(Debug, Default)]
struct Counters {
    totals: HashMap<String, (u64, Instant)>,
    /// How many there may be before those that have ended are dropped.
    sweep_at: usize,
}

impl Counters {
    fn add(&mut self, counter: &str, amount: u64, window: Duration) -> Count {
        let now = Instant::now();
        if self.totals.len() >= self.sweep_at.max(COUNTERS) {
            self.totals.retain(|_, (_, end)| *end > now);
            self.sweep_at = self.totals.len() * 2;
        }
        let begun = self.totals.entry(counter.to_owned());
        let (total, end) = begun.or_insert((0, now + window));
        if *end <= now {
            (*total, *end) = (0, now + window);
        }
        *total = total.saturating_add(amount);
        Count {
            total: *total,
            ends_in: *end - now,
        }
    }
}

impl Memory {
    pub(crate) fn append(&self, stream: &str, fields: Fields) {
        let mut contents = self.lock();
        let entries = contents.streams.entry(stream.to_owned()).or_default();
        if entries.len() == STREAM_LENGTH {
            entries.pop_front();
        }
        entries.push_back(fields);
    }

    pub(crate) fn entries(&self, stream: &str, count: usize) -> Vec<Fields> {
        self.lock()
            .streams
            .get(stream)
            .map(|entries| entries.iter().take(count).cloned().collect())
            .unwrap_or_default()
    }

    pub(crate) fn beat(&self, gateway: &str, ttl: Duration) {
        let now = Instant::now();
        let mut contents = self.lock();
        contents.gateways.insert(gateway.to_owned(), now + ttl);
        contents.gateways.retain(|_, end| *end > now);
        contents.users.retain(|_, gateways| {
            gateways.retain(|_, end| *end > now);
            !gateways.is_empty()
        });
    }

    pub(crate) fn gateways(&self) -> Vec<String> {
        let now = Instant::now();
        let contents = self.lock();
        let alive = contents.gateways.iter().filter(|(_, end)| **end > now);
        alive.map(|(gateway, _)| gateway.clone()).collect()
    }

    pub(crate) fn seen(&self, gateway: &str, users: &[Uuid], ttl: Duration) {
        let end = Instant::now() + ttl;
        let mut contents = self.lock();
        for user in users {
            let gateways = contents.users.entry(*user).or_default();
            gateways.insert(gateway.to_owned(), end);
        }
    }

    pub(crate) fn gone(&self, gateway: &str, users: &[Uuid]) {
        let mut contents = self.lock();
        for user in users {
            if let Some(gateways) = contents.users.get_mut(user) {
                gateways.remove(gateway);
                if gateways.is_empty() {
                    contents.users.remove(user);
                }
            }
        }
    }

    pub(crate) fn gateways_of(&self, users: &[Uuid]) -> Vec<Vec<String>> {
        let now = Instant::now();
        let contents = self.lock();
        let alive = |gateway: &String| contents.gateways.get(gateway).is_some_and(|end| *end > now);
        let of = |user: &Uuid| {
            let gateways = contents.users.get(user).into_iter().flatten();
            gateways
                .filter(|(gateway, end)| **end > now && alive(gateway))
                .map(|(gateway, _)| gateway.clone())
                .collect()
        };
        users.iter().map(of).collect()
    }

    pub(crate) fn count(&self, counter: &str, amount: u64, window: Duration) -> Count {
        self.lock().counters.add(counter, amount, window)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
