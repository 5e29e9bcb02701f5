//! Brings threads up to date in the index: what was said since the last time gets its vectors.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use confab_rpc::threads::{ListMessagesResponse, Message};
use confab_rpc::time;
use confab_runtime::Clock;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backends::Backends;
use crate::chunk::chunks;
use crate::error::Error;
use crate::reading::Reading;
use crate::store::{Embedded, IDS, Progress, Space, Store, Subject};
use crate::turns::Turns;
use crate::vector::quantise;

/// Texts that one call makes vectors of, before the pieces of one more message.
const BATCH: usize = 128;

/// Messages that are read at a time.
const PAGE: usize = 200;

/// Reads what is new and writes its vectors.
pub(crate) struct Indexer {
    pub(crate) backends: Backends,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    turns: Turns,
}

/// How much is indexed before somebody gets an answer.
#[derive(Debug)]
pub(crate) struct Budget {
    messages: usize,
    until: Option<Instant>,
}

impl Budget {
    pub(crate) fn new(messages: usize, time: Duration) -> Self {
        Self {
            messages,
            until: Some(Instant::now() + time),
        }
    }

    /// Nobody waits for an answer.
    pub(crate) fn unbounded() -> Self {
        Self {
            messages: usize::MAX,
            until: None,
        }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.messages == 0 || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Indexer {
    pub(crate) fn new(backends: Backends, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            backends,
            store,
            clock,
            turns: Turns::new(),
        }
    }

    /// Indexes what a thread has that the space has not; says whether that was all within the budget. An answer that is
    /// being written is left for later.
    pub(crate) async fn catch_up(
        &self,
        user: Uuid,
        thread: &Subject,
        space: &Space,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let Some(_turn) = self.turns.take(thread.id, budget.until).await else {
            return Ok(false);
        };
        let known = space.progress(&[thread.id]).await?;
        let mut reading = Reading::from(space, thread, known.get(&thread.id).copied());
        if reading.progress.deletions < thread.deletions {
            if !self.prune(user, thread, space, budget).await? {
                return Ok(false);
            }
            reading.pruned();
        }
        let mut after = reading.progress.seq;
        while !budget.is_spent() {
            let Some(page) = self.page(user, thread, after, budget).await? else {
                self.store.remove_thread(thread.id).await?;
                return Ok(true);
            };
            after = page.messages.last().map_or(after, |last| last.seq);
            if !self.take(&mut reading, page.messages, budget).await? {
                return Ok(false);
            }
            if !page.more {
                reading.reach_end();
                self.flush(&mut reading).await?;
                return Ok(true);
            }
        }
        self.flush(&mut reading).await?;
        Ok(false)
    }

    /// Takes what was deleted out of a space; says whether that was possible within the budget.
    async fn prune(
        &self,
        user: Uuid,
        thread: &Subject,
        space: &Space,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let mut after = 0;
        while !budget.is_spent() {
            let Some(page) = self.page(user, thread, after, budget).await? else {
                return Ok(true);
            };
            let last = page.messages.last().filter(|_| page.more);
            let to = last.map_or(i64::MAX, |last| last.seq);
            let mut gone = space.present(thread.id, after + 1, to).await?;
            for message in &page.messages {
                gone.remove(&message.seq);
            }
            let gone: Vec<i64> = gone.into_iter().collect();
            for some in gone.chunks(IDS) {
                space.remove(thread.id, some).await?;
            }
            if !page.more {
                return Ok(true);
            }
            after = to;
        }
        Ok(false)
    }

    /// The next messages of a thread; `None` when it is gone.
    async fn page(
        &self,
        user: Uuid,
        thread: &Subject,
        after: i64,
        budget: &mut Budget,
    ) -> Result<Option<ListMessagesResponse>, Error> {
        let limit = u32::try_from(budget.messages.min(PAGE)).unwrap_or(u32::MAX);
        let page = self
            .backends
            .messages(user, thread.id, after, limit)
            .await?;
        let read = page.as_ref().map_or(0, |page| page.messages.len());
        budget.messages = budget.messages.saturating_sub(read);
        Ok(page)
    }

    /// Takes what was deleted of a thread out of every space, without adding to them.
    pub(crate) async fn forget_deleted(&self, user: Uuid, thread: &Subject) -> Result<(), Error> {
        let _turn = self.turns.take(thread.id, None).await;
        for space in self.store.spaces_of(thread.id).await? {
            let stored = space.progress(&[thread.id]).await?.remove(&thread.id);
            let Some(stored) = stored.filter(|stored| stored.deletions < thread.deletions) else {
                continue;
            };
            let mut budget = Budget::unbounded();
            if self.prune(user, thread, &space, &mut budget).await? {
                let progress = Progress {
                    deletions: thread.deletions,
                    ..stored
                };
                space
                    .put(thread, progress, Vec::new(), self.clock.now())
                    .await?;
            }
        }
        Ok(())
    }

    /// Makes new vectors of messages that changed.
    pub(crate) async fn refresh(
        &self,
        thread: &Subject,
        space: &Space,
        messages: &[Message],
    ) -> Result<(), Error> {
        let Some(_turn) = self.turns.take(thread.id, None).await else {
            return Ok(());
        };
        let embedded = self.embed(space, messages).await?;
        Ok(space
            .put(thread, Progress::default(), embedded, self.clock.now())
            .await?)
    }

    /// Indexes a page but for the last batch; false when the time was up.
    async fn take(
        &self,
        reading: &mut Reading<'_>,
        messages: Vec<Message>,
        budget: &Budget,
    ) -> Result<bool, Error> {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
            return Ok(true);
        };
        let space = reading.space;
        let present = space
            .present(reading.thread.id, first.seq, last.seq)
            .await?;
        for message in messages {
            let texts = if present.contains(&message.seq) {
                0
            } else {
                chunks(&message.content).len()
            };
            reading.add(message, texts);
            if reading.texts >= BATCH {
                self.flush(reading).await?;
                if budget.until.is_some_and(|until| Instant::now() >= until) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn flush(&self, reading: &mut Reading<'_>) -> Result<(), Error> {
        let Some(progress) = reading.due() else {
            return Ok(());
        };
        let embedded = self.embed(reading.space, &reading.batch).await?;
        let now = self.clock.now();
        reading
            .space
            .put(reading.thread, progress, embedded, now)
            .await?;
        reading.written();
        Ok(())
    }

    async fn embed(&self, space: &Space, messages: &[Message]) -> Result<Vec<Embedded>, Error> {
        let pieces: Vec<Vec<&str>> = messages.iter().map(|one| chunks(&one.content)).collect();
        let mut vectors = self.vectors(space, &pieces.concat()).await?.into_iter();
        let embedded = messages
            .iter()
            .zip(&pieces)
            .map(|(message, pieces)| Embedded {
                message_id: message.id,
                seq: message.seq,
                updated_at: updated_at(message),
                chunks: vectors.by_ref().take(pieces.len()).flatten().collect(),
            });
        Ok(embedded.collect())
    }

    /// The vectors of texts; none of a text that has no direction, or that the model refuses. One refused text makes a
    /// call fail: it is looked for by halves, so that the others get theirs.
    async fn vectors(&self, space: &Space, texts: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut vectors = vec![None; texts.len()];
        let mut open = vec![(0, texts.len())];
        while let Some((from, to)) = open.pop().filter(|(from, to)| from < to) {
            match self.backends.embed(&space.model, &texts[from..to]).await {
                Ok(made) => {
                    for (place, values) in vectors[from..to].iter_mut().zip(made) {
                        if values.len() != space.dimensions {
                            return Err(Error::Vectors);
                        }
                        *place = quantise(&values);
                    }
                }
                Err(Error::TextRefused) if to - from > 1 => {
                    let middle = from.midpoint(to);
                    open.extend([(from, middle), (middle, to)]);
                }
                Err(Error::TextRefused) => {
                    tracing::warn!(
                        model = space.model,
                        "a text that the model refuses is not found by it"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(vectors)
    }
}

/// When a message was written last.
pub(crate) fn updated_at(message: &Message) -> DateTime<Utc> {
    let at = message.updated_at.and_then(time::from_wire);
    at.unwrap_or_default()
}
