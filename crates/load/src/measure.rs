//! Counting what happens while it happens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What is counted is kept in so many parts, so that threads rarely meet: everybody counts in the part of their index.
const PARTS: usize = 16;

/// Latencies, to three digits.
#[derive(Debug, Default)]
pub(crate) struct Latencies([Mutex<Option<Histogram<u64>>>; PARTS]);

/// What latencies come to, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Latencies {
    /// `index` is that of who records: a socket, a worker.
    pub(crate) fn record(&self, index: usize, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let mut part = lock(&self.0[index % PARTS]);
        if part.is_none() {
            // Three digits are always a valid precision.
            *part = Histogram::new(3).ok();
        }
        if let Some(histogram) = part.as_mut() {
            // It grows by itself and takes every number.
            histogram.record(micros).unwrap_or_default();
        }
    }

    /// `None` when nothing was recorded.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let mut all: Option<Histogram<u64>> = None;
        for part in &self.0 {
            let part = lock(part);
            let Some(part) = part.as_ref() else { continue };
            match &mut all {
                None => all = Some(part.clone()),
                // Both grow by themselves.
                Some(all) => all.add(part).unwrap_or_default(),
            }
        }
        let all = all?;
        #[expect(clippy::cast_precision_loss, reason = "microseconds of minutes")]
        let milliseconds = |micros: u64| micros as f64 / 1e3;
        let at = |quantile| milliseconds(all.value_at_quantile(quantile));
        Some(Summary {
            count: all.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: milliseconds(all.max()),
        })
    }
}

fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One count.
#[derive(Debug, Default)]
pub(crate) struct Counter([Part; PARTS]);

/// A part has a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Part(AtomicU64);

impl Counter {
    /// Adds one; `index` is that of who counts.
    pub(crate) fn add(&self, index: usize) {
        self.0[index % PARTS].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        let parts = self.0.iter();
        parts.map(|part| part.0.load(Ordering::Relaxed)).sum()
    }

    fn reset(&self) {
        for part in &self.0 {
            part.0.store(0, Ordering::Relaxed);
        }
    }
}

/// Things that are counted while a load is on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sends, requests or connections begun.
    pub(crate) begun: Counter,
    /// Those that were acknowledged or answered.
    pub(crate) done: Counter,
    /// Those that were refused.
    pub(crate) refused: Counter,
    /// What reached receivers.
    pub(crate) delivered: Counter,
}

impl Counts {
    /// Forgets what getting ready has counted.
    pub(crate) fn reset(&self) {
        for counter in [&self.begun, &self.done, &self.refused, &self.delivered] {
            counter.reset();
        }
    }
}
