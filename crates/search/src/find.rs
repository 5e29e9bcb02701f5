//! A search: index what is new, compare, and confirm what was found with the threads themselves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use confab_rpc::threads::Message;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::backends::{Backends, MESSAGES};
use crate::backlog::{Backlog, Behind};
use crate::error::Error;
use crate::index::{Budget, Indexer, updated_at};
use crate::query::Query;
use crate::ranking::{Candidate, Ranked, Ranking, Wanted, fuse};
use crate::scope::{Scope, subject};
use crate::settings::Settings;
use crate::store::{IDS, PAGE, Space, Store, VectorRow};
use crate::vector::Direction;

/// Searches of a process at the same time; more wait. Each holds some pages of vectors and the messages it found.
const AT_ONCE: usize = 8;

/// How often what was found to be gone or changed is put right before the rest is the answer.
const ROUNDS: usize = 10;

/// Text of one answer, in bytes, at which it ends. A gRPC client takes 4 MiB, a message has at most 2.
const ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// Candidates of a model for one place in the answer: some may be gone, and what is low in one list may be high in another.
const DEPTH: usize = 4;

/// Answers searches.
pub(crate) struct Finder {
    backends: Backends,
    store: Store,
    indexer: Arc<Indexer>,
    backlog: Backlog,
    settings: Settings,
    permits: Semaphore,
}

/// What a search found, the nearest first.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) hits: Vec<(Message, Candidate)>,
    pub(crate) scope: Scope,
    /// Everything that is stored was looked at.
    pub(crate) complete: bool,
}

/// The query as one model sees it.
struct Lens {
    space: Space,
    /// None: the model sees nothing in it.
    direction: Option<Direction>,
}

/// Candidates that were looked up.
#[derive(Default)]
struct Confirmed {
    hits: Vec<(Message, Candidate)>,
    gone: Vec<Candidate>,
    changed: Vec<Message>,
}

impl Finder {
    pub(crate) fn new(indexer: Arc<Indexer>, backlog: Backlog, settings: Settings) -> Self {
        Self {
            backends: indexer.backends.clone(),
            store: indexer.store.clone(),
            indexer,
            backlog,
            settings,
            permits: Semaphore::new(AT_ONCE),
        }
    }

    pub(crate) async fn find(&self, query: &Query) -> Result<Found, Error> {
        // Never closed: an error cannot come.
        let _permit = self.permits.acquire().await;
        let scope = Scope::of(query, &self.backends).await?;
        let lenses = self.lenses(&query.text).await?;
        let mut complete = scope.whole;
        for lens in &lenses {
            complete &= self.catch_up(query.user, &scope, &lens.space).await?;
        }
        let mut round = 1;
        let hits = loop {
            let candidates = self.rank(query, &scope, &lenses).await?;
            let confirmed = self.confirm(query, candidates).await?;
            let whole = confirmed.gone.is_empty() && confirmed.changed.is_empty();
            if !whole {
                self.repair(&scope, &lenses, &confirmed).await?;
            }
            if whole || round == ROUNDS {
                break confirmed.hits;
            }
            round += 1;
        };
        Ok(Found {
            hits,
            scope,
            complete,
        })
    }

    async fn lenses(&self, text: &str) -> Result<Vec<Lens>, Error> {
        let mut lenses = Vec::new();
        for model in self.settings.models() {
            let vectors = match self.backends.embed(model, &[text]).await {
                // An operator whose list of models is without it can still search with another one.
                Err(Error::Model(_)) if model != self.settings.embedding_model => continue,
                vectors => vectors?,
            };
            let values = vectors.into_iter().next().filter(|one| !one.is_empty());
            let values = values.ok_or(Error::Vectors)?;
            lenses.push(Lens {
                space: self.store.space(model, values.len()).await?,
                direction: Direction::of(&values),
            });
        }
        Ok(lenses)
    }

    /// Indexes what is behind, as far as a call may, and leaves the rest for later; says whether nothing was left.
    async fn catch_up(&self, user: Uuid, scope: &Scope, space: &Space) -> Result<bool, Error> {
        let time = Duration::from_secs(self.settings.indexing_seconds);
        let mut budget = Budget::new(self.settings.messages_per_call, time);
        let mut complete = true;
        for subjects in scope.subjects.chunks(IDS) {
            let ids: Vec<Uuid> = subjects.iter().map(|subject| subject.id).collect();
            let progress = space.progress(&ids).await?;
            for thread in subjects {
                let progress = progress.get(&thread.id).copied().unwrap_or_default();
                if progress.covers(thread) {
                    continue;
                }
                let whole = !budget.is_spent()
                    && self
                        .indexer
                        .catch_up(user, thread, space, &mut budget)
                        .await?;
                if !whole {
                    complete = false;
                    self.backlog.leave(Behind {
                        user,
                        thread: *thread,
                        space: space.clone(),
                    });
                }
            }
        }
        Ok(complete)
    }

    /// The nearest messages, as the models together see it.
    async fn rank(
        &self,
        query: &Query,
        scope: &Scope,
        lenses: &[Lens],
    ) -> Result<Vec<Candidate>, Error> {
        let mut lists: Vec<Ranked> = Vec::new();
        for lens in lenses {
            let earlier = lists.iter().flat_map(|list| &list.best);
            let wanted = Wanted {
                limit: query.limit * DEPTH,
                minimum: self.settings.minimum_similarity,
                also: earlier.map(|candidate| candidate.message_id).collect(),
            };
            lists.push(lens.compare(&scope.ids, wanted).await?);
        }
        Ok(fuse(lists))
    }

    /// Looks candidates up until there are enough.
    async fn confirm(&self, query: &Query, candidates: Vec<Candidate>) -> Result<Confirmed, Error> {
        let mut confirmed = Confirmed::default();
        let mut bytes = 0;
        for some in candidates.chunks(MESSAGES) {
            if confirmed.hits.len() == query.limit {
                break;
            }
            let ids: Vec<i64> = some.iter().map(|candidate| candidate.message_id).collect();
            let readable = self.backends.readable(query.user, &ids).await?;
            let mut readable: HashMap<i64, Message> =
                readable.into_iter().map(|one| (one.id, one)).collect();
            for candidate in some {
                let Some(message) = readable.remove(&candidate.message_id) else {
                    confirmed.gone.push(*candidate);
                    continue;
                };
                if updated_at(&message) != candidate.updated_at {
                    confirmed.changed.push(message);
                    continue;
                }
                bytes += message.content.len();
                let full = confirmed.hits.len() == query.limit;
                if full || (bytes > ANSWER_BYTES && !confirmed.hits.is_empty()) {
                    return Ok(confirmed);
                }
                confirmed.hits.push((message, *candidate));
            }
        }
        Ok(confirmed)
    }

    /// Takes what is gone out of the index and puts what changed into it.
    async fn repair(
        &self,
        scope: &Scope,
        lenses: &[Lens],
        confirmed: &Confirmed,
    ) -> Result<(), Error> {
        let threads: HashSet<Uuid> = confirmed.gone.iter().map(|one| one.thread).collect();
        for thread in threads {
            let gone = confirmed.gone.iter().filter(|one| one.thread == thread);
            let seqs: Vec<i64> = gone.map(|one| one.seq).collect();
            for lens in lenses {
                lens.space.remove(thread, &seqs).await?;
            }
        }
        for message in &confirmed.changed {
            let thread = message.thread_id.parse().ok();
            let thread = thread.and_then(|id| scope.thread(id)).and_then(subject);
            let Some(thread) = thread else { continue };
            for lens in lenses {
                let changed = std::slice::from_ref(message);
                self.indexer.refresh(&thread, &lens.space, changed).await?;
            }
        }
        Ok(())
    }
}

impl Lens {
    /// Compares the query with every vector of these threads, a page at a time.
    async fn compare(&self, threads: &[Uuid], wanted: Wanted) -> Result<Ranked, Error> {
        let Some(direction) = &self.direction else {
            return Ok(Ranked::default());
        };
        let mut ranking = Ranking::new(wanted);
        for mut threads in threads.chunks(IDS) {
            let mut last: Option<VectorRow> = None;
            loop {
                let page = self.space.page(threads, last.as_ref()).await?;
                let full = page.len() == PAGE;
                for row in &page {
                    ranking.add(candidate(row, direction));
                }
                last = page.into_iter().next_back();
                let Some(last) = last.as_ref().filter(|_| full) else {
                    break;
                };
                let done = threads.partition_point(|id| *id < last.thread_id);
                threads = &threads[done..];
            }
        }
        Ok(ranking.finish())
    }
}

fn candidate(row: &VectorRow, direction: &Direction) -> Candidate {
    Candidate {
        thread: row.thread_id,
        seq: row.seq,
        message_id: row.message_id,
        updated_at: row.updated_at,
        similarity: direction.cosine(&row.vector),
    }
}
