//! Removes what nobody needs any more: files that no message carries, and what crashes left.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use confab_runtime::{Clock, Tasks};

use crate::blobs::Blobs;
use crate::error::Error;
use crate::store::Store;

/// What is younger may belong to an upload under way, here or on another replica.
const AGE: Duration = Duration::from_hours(24);
const INTERVAL: Duration = Duration::from_hours(1);

/// Removes what nobody needs any more.
pub(crate) struct Sweep {
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Sweeps now and every hour, until the process comes to its end.
    pub(crate) fn start(self, tasks: &Tasks) {
        let stopping = tasks.stopping();
        tasks.spawn("sweep attachments", async move {
            let sweeping = async {
                loop {
                    if let Err(error) = self.run().await {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            error,
                            "left-over files are not swept; the next try is in an hour"
                        );
                    }
                    tokio::time::sleep(INTERVAL).await;
                }
            };
            stopping.run_until_cancelled(sweeping).await;
        });
    }

    /// Sweeps once.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let reaped = self.reap().await?;
        if reaped > 0 {
            tracing::info!(reaped, "removed files that no message carries");
        }
        let before = SystemTime::from(self.clock.now()) - AGE;
        let mut removed = self.blobs.clear_unfinished(before).await?;
        for first in 0..=u8::MAX {
            removed += self.branch(first, before).await?;
        }
        if removed > 0 {
            tracing::info!(removed, "swept files that crashes had left");
        }
        Ok(())
    }

    /// Removes files that were not kept in time. Their rows go first: bytes without a row are swept later, a row without
    /// bytes would be a promise.
    async fn reap(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let mut reaped = 0;
        loop {
            let ids = self.store.reap_some(now).await?;
            if ids.is_empty() {
                return Ok(reaped);
            }
            reaped += ids.len();
            self.blobs.remove(ids).await;
        }
    }

    /// Sweeps the files whose id starts with this byte.
    async fn branch(&self, first: u8, before: SystemTime) -> Result<usize, Error> {
        let mut unknown = self.blobs.older(first, before).await?;
        let known = self.store.known(&unknown).await?;
        unknown.retain(|id| !known.contains(id));
        let count = unknown.len();
        if count > 0 {
            self.blobs.remove(unknown).await;
        }
        Ok(count)
    }
}
