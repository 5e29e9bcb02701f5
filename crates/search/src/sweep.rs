//! Removes what nobody finds any more: vectors of threads that were deleted, and of models that are no longer used.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use confab_rpc::Fault;
use confab_runtime::Tasks;
use uuid::Uuid;

use crate::error::Error;
use crate::index::Indexer;
use crate::store::Unchecked;

const INTERVAL: Duration = Duration::from_mins(10);

/// A thread is looked for once in this time.
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
        self.forget_models().await?;
        let before = self.indexer.clock.now() - AGE;
        for thread in self.indexer.store.unchecked(before, THREADS).await? {
            self.look_for(thread).await?;
        }
        Ok(())
    }

    async fn forget_models(&self) -> Result<(), Error> {
        let store = &self.indexer.store;
        let models: Vec<&str> = self.models.iter().map(String::as_str).collect();
        for space in store.spaces_besides(&models).await? {
            while !store.remove_some(&space, THREADS).await? {}
            tracing::info!(
                model = space.model,
                "removed the vectors of a model that is not used"
            );
        }
        Ok(())
    }

    async fn look_for(&self, thread: Unchecked) -> Result<(), Error> {
        let located = self.indexer.backends.locate(thread.number).await?;
        let is_it = |id: &str| id.parse() == Ok::<Uuid, uuid::Error>(thread.id);
        if located.is_some_and(|located| is_it(&located.thread_id)) {
            let now = self.indexer.clock.now();
            self.indexer.store.checked(thread.id, now).await?;
        } else {
            self.indexer.store.remove_thread(thread.id).await?;
        }
        Ok(())
    }
}
