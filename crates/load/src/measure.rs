//! Counting what happens while it happens.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::scenario::Stage;

/// Histograms are kept in so many parts, so that two threads rarely wait for each other.
const PARTS: usize = 8;

/// Latencies, to three digits.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    parts: [Mutex<Option<Histogram<u64>>>; PARTS],
    next: AtomicUsize,
}

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
    pub(crate) fn record(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let part = self.next.fetch_add(1, Ordering::Relaxed) % PARTS;
        let mut part = self.parts[part]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
        for part in &self.parts {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Things that are counted while a load is on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sends, requests or connections begun.
    pub(crate) begun: AtomicU64,
    /// Those that were acknowledged or answered.
    pub(crate) done: AtomicU64,
    /// What reached receivers.
    pub(crate) delivered: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Shows every second on standard error how it goes.
pub(crate) fn show_progress(stage: &Arc<Stage>, quiet: bool) -> JoinHandle<()> {
    let stage = Arc::clone(stage);
    #[expect(
        clippy::disallowed_methods,
        reason = "a command has no Tasks; its caller ends this one"
    )]
    tokio::spawn(async move {
        if quiet {
            return;
        }
        let mut second = interval(Duration::from_secs(1));
        let mut before = (0, 0);
        loop {
            second.tick().await;
            let now = (
                stage.counts.done.load(Ordering::Relaxed),
                stage.counts.delivered.load(Ordering::Relaxed),
            );
            let wrong = stage.checks.now();
            // Nobody is told when nobody looks.
            let _ = writeln!(
                std::io::stderr(),
                "{:?}: {} done/s, {} delivered/s, {} in all, {} errors{}",
                stage.plan.scenario,
                now.0 - before.0,
                now.1 - before.1,
                now.0,
                wrong.errors,
                if wrong.is_none() { "" } else { ", WRONG" }
            );
            before = now;
        }
    })
}
