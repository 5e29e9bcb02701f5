//! Removes what nobody finds any more: vectors of threads and messages that were deleted, and of models that are no longer
//! used.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use confab_rpc::Fault;
use confab_runtime::Tasks;
use uuid::Uuid;

use crate::error::Error;
use crate::index::Indexer;
use crate::scope::subject;
use crate::store::{SpaceRow, Unchecked};

const INTERVAL: Duration = Duration::from_mins(10);

/// A thread is looked for once in this time, and what is not used is kept as long.
const AGE: TimeDelta = TimeDelta::hours(24);

/// Threads that one sweep looks for, or that are removed in one statement.
const THREADS: u64 = 500;

/// Removes what nobody finds any more.
pub(crate) struct Sweep {
    pub(crate) indexer: Arc<Indexer>,
    /// Those in use.
    pub(crate) models: Vec<String>,
}

impl Sweep {
    /// Sweeps now and again and again, until the process comes to its end.
    pub(crate) fn start(self: Arc<Self>, tasks: &Tasks) {
        let stopping = tasks.stopping();
        tasks.spawn("sweep the index", async move {
            let sweeping = async {
                loop {
                    if let Err(error) = self.run().await {
                        let fault = Fault::from(error);
                        tracing::warn!(%fault, "the index is not swept; the next try is in ten minutes");
                    }
                    tokio::time::sleep(INTERVAL).await;
                }
            };
            stopping.run_until_cancelled(sweeping).await;
        });
    }

    /// Sweeps once.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let store = &self.indexer.store;
        let before = self.indexer.clock.now() - AGE;
        let spaces = store.spaces().await?.into_iter();
        let (used, unused): (Vec<_>, Vec<_>) =
            spaces.partition(|space| self.models.contains(&space.model));
        for space in unused {
            self.forget(&space, before).await?;
        }
        let used: Vec<i64> = used.iter().map(|space| space.id).collect();
        for thread in store.unchecked(&used, before, THREADS).await? {
            self.look_for(&used, thread).await?;
        }
        Ok(())
    }

    /// Removes a space that no process writes to, not even one with other settings.
    async fn forget(&self, space: &SpaceRow, before: DateTime<Utc>) -> Result<(), Error> {
        let store = &self.indexer.store;
        if store.is_in_use(space, before).await? {
            return Ok(());
        }
        while !store.remove_some(space, THREADS).await? {}
        tracing::info!(
            model = space.model,
            "removed the vectors of a model that is not used"
        );
        Ok(())
    }

    async fn look_for(&self, spaces: &[i64], thread: Unchecked) -> Result<(), Error> {
        let Indexer {
            backends,
            store,
            clock,
            ..
        } = &*self.indexer;
        let located = backends.locate(thread.number).await?;
        let owner = located.and_then(|located| located.owner_id.parse::<Uuid>().ok());
        let found = match owner {
            Some(owner) => backends.thread_if_any(owner, thread.id).await?,
            None => None,
        };
        let (Some(owner), Some(found)) = (owner, found.as_ref().and_then(subject)) else {
            return Ok(store.remove_thread(thread.id).await?);
        };
        self.indexer.forget_deleted(owner, &found).await?;
        Ok(store.checked(spaces, thread.id, clock.now()).await?)
    }
}
