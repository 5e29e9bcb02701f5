//! Entries that wait to be published.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use confab_rpc::threads::Entry;
use tokio::sync::Notify;

/// What may wait: with a broker that is slow, memory ends here and not later.
const ENTRIES: usize = 65_536;
const BYTES: usize = 64 * 1024 * 1024;
/// What leaves together.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 512 * 1024;
/// About what an entry takes without its text.
const ENTRY_BYTES: usize = 400;

/// A bounded queue, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
    counts: Counts,
}

/// Since the start.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// Entries that were let in.
    pub(super) pushed: u64,
    /// The first of them, whose publishing has come to its end, well or not.
    pub(super) settled: u64,
    /// Entries that found the queue full.
    pub(super) dropped: u64,
}

impl Queue {
    /// Puts entries at the end, as far as there is room.
    pub(super) fn push(&self, entries: &[Entry]) {
        let mut waiting = self.lock();
        for entry in entries {
            let bytes = weight(entry);
            if waiting.entries.len() == ENTRIES || waiting.bytes + bytes > BYTES {
                waiting.counts.dropped += 1;
                continue;
            }
            waiting.bytes += bytes;
            waiting.counts.pushed += 1;
            waiting.entries.push_back(entry.clone());
        }
        show(&waiting);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// What waits, at least one entry, at most a batch. For one task; cancelling it loses nothing.
    pub(super) async fn take(&self) -> Vec<Entry> {
        loop {
            let batch = self.batch();
            if !batch.is_empty() {
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    fn batch(&self) -> Vec<Entry> {
        let mut waiting = self.lock();
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += weight(entry);
            bytes <= BATCH_BYTES
        };
        let count = waiting.entries.iter().take(BATCH).take_while(fits).count();
        // One that is larger than a batch goes alone.
        let count = count.max(1).min(waiting.entries.len());
        let batch: Vec<Entry> = waiting.entries.drain(..count).collect();
        waiting.bytes -= batch.iter().map(weight).sum::<usize>();
        if !batch.is_empty() {
            show(&waiting);
        }
        batch
    }

    /// The next `count` entries that were taken have been published, or not.
    pub(super) fn settle(&self, count: usize) {
        self.lock().counts.settled += count as u64;
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub(super) fn dropped(&self) -> u64 {
        self.counts().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are never so many")]
fn show(waiting: &Waiting) {
    metrics::gauge!("confab_relay_waiting").set(waiting.entries.len() as f64);
}

fn weight(entry: &Entry) -> usize {
    let announced = entry.announced.as_deref().map_or(0, weight);
    ENTRY_BYTES + entry.content.len() + announced
}
