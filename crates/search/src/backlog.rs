//! What a search had no time to index: done afterwards, one thread after the other.

use std::sync::Arc;

use confab_rpc::Fault;
use confab_runtime::Tasks;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::error::Error;
use crate::index::{Budget, Indexer};
use crate::store::{Space, Subject};

/// Threads that wait. What finds no place is found again by the next search.
const WAITING: usize = 1024;

/// A thread that is behind.
#[derive(Debug)]
pub(crate) struct Behind {
    pub(crate) user: Uuid,
    pub(crate) thread: Subject,
    pub(crate) space: Space,
}

/// Where searches leave what they had no time for.
#[derive(Debug, Clone)]
pub(crate) struct Backlog(mpsc::Sender<Behind>);

impl Backlog {
    /// Starts to work on what will be left, until the process comes to its end.
    pub(crate) fn start(indexer: Arc<Indexer>, tasks: &Tasks) -> Self {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let stopping = tasks.stopping();
        tasks.spawn("index what searches left", async move {
            let working = async {
                while let Some(behind) = receiver.recv().await {
                    if let Err(error) = index(&indexer, &behind).await {
                        let fault = Fault::from(error);
                        tracing::warn!(%fault, "what waits to be indexed is left to the next search");
                        while receiver.try_recv().is_ok() {}
                    }
                }
            };
            stopping.run_until_cancelled(working).await;
        });
        Self(sender)
    }

    /// Leaves a thread for later.
    pub(crate) fn leave(&self, behind: Behind) {
        // Full, or the process is stopping: the next search finds it.
        let _ = self.0.try_send(behind);
    }
}

async fn index(indexer: &Indexer, behind: &Behind) -> Result<(), Error> {
    let mut budget = Budget::unbounded();
    let Behind {
        user,
        thread,
        space,
    } = behind;
    indexer.catch_up(*user, thread, space, &mut budget).await?;
    Ok(())
}
