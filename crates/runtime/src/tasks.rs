//! Background work that is counted, named and stopped.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The tasks of one process, or of one part of it. Clones share the same count and the same stop.
///
/// Work is spawned on the runtime that [`Tasks::new`] was called from, also when the caller is on another one (an HTTP
/// worker). Long-lived work watches [`Tasks::stopping`]; work that must come to its end just does.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
    stopping: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "needs a runtime around it")]
    pub fn new() -> Self {
        Self {
            runtime: Handle::current(),
            stopping: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }

    /// Runs `work` to its end. A panic ends that work alone and is logged with its name.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let watched = async move {
            if std::panic::AssertUnwindSafe(work)
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!(task = name, "a task panicked");
            }
        };
        self.tracker
            .spawn_on(watched.in_current_span(), &self.runtime);
    }

    /// Resolves when the process should come to an end; hand it to everything that loops.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Asks everything that watches [`Tasks::stopping`] to end, and waits for all work, at most for `grace`. Says
    /// whether everything ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok()
    }
}
