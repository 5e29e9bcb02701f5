//! What a process that died had committed and not published.
//!
//! Each second a replica writes an id up to which all that it committed has left. A mark that stands still belongs to a
//! replica that died: another one publishes everybody's entries after it and removes the mark. A replica that starts does
//! not wait to see who is dead, but publishes what came after the oldest mark at once, so that a restart leaves nobody
//! waiting. Whatever is published twice on the way is dropped by its `seq`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use confab_database::Database;
use confab_delivery::{Delivery, DeliveryError, To};
use confab_rpc::delivery::Events;
use confab_rpc::threads::Entry;
use confab_runtime::Clock;
use sea_orm::DbErr;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::queue::Queue;
use super::store::{self, mark};
use crate::store::people::log;

/// How often marks are written and looked at.
const BEAT: Duration = Duration::from_secs(1);
/// A mark that has not moved for longer, by the clock of whoever looks, is of a replica that died.
const STALE: Duration = Duration::from_secs(2);
/// An id is handed out before its commit. After this long it is committed, and in the queue, or it never will be.
const SETTLED: Duration = Duration::from_secs(5);
/// Pages of entries that one look publishes, at most; what is beyond them is found in the log by those who miss it.
const PAGES: usize = 50;
/// Sends may have begun before the first look: this many ids before the end of the log it saw may be this process's own.
const HEAD_START: i64 = 1000;
/// Entries of one message.
const BATCH: usize = 500;

pub(super) struct Marks {
    database: Database,
    delivery: Delivery,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    replica: Uuid,
    /// Where the log ended at each of the last beats, oldest first.
    samples: VecDeque<Sample>,
    /// Marks of others and since when they stand where they are.
    others: HashMap<Uuid, (mark::Model, Instant)>,
    /// Whether what was unpublished at the start has been published.
    caught_up: bool,
}

struct Sample {
    at: Instant,
    last_id: i64,
    /// Entries that this process had put into the queue.
    pushed: u64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl Marks {
    pub(super) fn new(
        database: Database,
        delivery: Delivery,
        queue: Arc<Queue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            database,
            delivery,
            queue,
            clock,
            replica: Uuid::now_v7(),
            samples: VecDeque::new(),
            others: HashMap::new(),
            caught_up: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = beats.tick().await;
            match self.beat(now).await {
                Ok(()) => {}
                // Said already by whoever looks after the broker.
                Err(Error::Delivery(error)) => tracing::debug!(%error, "what was left is kept"),
                Err(Error::Database(error)) => tracing::warn!(%error, "marks cannot be kept"),
            }
        }
    }

    /// One look: says how far this replica is, and publishes what dead ones left.
    pub(super) async fn beat(&mut self, now: Instant) -> Result<(), Error> {
        let mut last_id = log::last_id(&self.database).await?;
        if self.samples.is_empty() {
            last_id = (last_id - HEAD_START).max(0);
        }
        self.samples.push_back(Sample {
            at: now,
            last_id,
            pushed: self.queue.counts().pushed,
        });
        if let Some(published_id) = self.published(now) {
            let at = self.clock.now();
            store::write(&self.database, self.replica, published_id, at).await?;
        }
        self.look(now).await?;
        self.catch_up().await?;
        self.take_over(now).await
    }

    /// An id up to which all that this process committed has left; `None` while it lags behind.
    fn published(&mut self, now: Instant) -> Option<i64> {
        let age = |sample: &Sample| now.duration_since(sample.at);
        // The first becomes the newest that is old enough. Until there is one it stays that of the start, when this
        // process had committed nothing.
        while self.samples.get(1).is_some_and(|next| age(next) >= SETTLED) {
            self.samples.pop_front();
        }
        let before = self.samples.iter().rev().find(|sample| age(sample) >= BEAT);
        let pushed = before.map_or(0, |sample| sample.pushed);
        let lags = self.queue.counts().settled < pushed;
        let first = self.samples.front()?;
        (!lags).then_some(first.last_id)
    }

    /// Notes which marks have moved.
    async fn look(&mut self, now: Instant) -> Result<(), DbErr> {
        let marks = store::others(&self.database, self.replica).await?;
        let mut before = std::mem::take(&mut self.others);
        for mark in marks {
            let since = match before.remove(&mark.replica) {
                Some((known, since)) if known == mark => since,
                _ => now,
            };
            self.others.insert(mark.replica, (mark, since));
        }
        Ok(())
    }

    /// After a start, publishes what came after the oldest mark there is.
    async fn catch_up(&mut self) -> Result<(), Error> {
        if self.caught_up {
            return Ok(());
        }
        let oldest = self.others.values().map(|(mark, _)| mark.published_id);
        if let Some(id) = oldest.min() {
            self.publish_after(id).await?;
        }
        self.caught_up = true;
        Ok(())
    }

    async fn take_over(&mut self, now: Instant) -> Result<(), Error> {
        let dead: Vec<mark::Model> = self
            .others
            .values()
            .filter(|(_, since)| now.duration_since(*since) > STALE)
            .map(|(mark, _)| *mark)
            .collect();
        let Some(oldest) = dead.iter().map(|mark| mark.published_id).min() else {
            return Ok(());
        };
        self.publish_after(oldest).await?;
        // Last: a process that dies before leaves the marks to the next one.
        for mark in dead {
            store::remove(&self.database, &mark).await?;
        }
        Ok(())
    }

    /// Publishes everybody's entries after an id, to all gateways.
    async fn publish_after(&self, mut id: i64) -> Result<(), Error> {
        for _ in 0..PAGES {
            let page = log::beyond(&self.database, id).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            id = last.row.id;
            let entries: Vec<Entry> = page.into_iter().map(Into::into).collect();
            for entries in entries.chunks(BATCH) {
                let entries = entries.to_vec();
                self.delivery.publish(&To::All, Events { entries }).await?;
            }
        }
        tracing::warn!(id, "a dead replica left more than is published again");
        Ok(())
    }
}
