//! Committed entries on their way to the gateways of their readers.
//!
//! What crosses here are hints: a full queue, a broker that is away or a directory that is wrong lose some, and gateways
//! find what they missed in the log. A process that died before its last entries left is noticed by the marks in
//! [`marks`], and another one (or its successor) publishes them. Who *may* read an entry is not decided here: a gateway
//! shows it to members only.

mod directory;
mod marks;
mod queue;
mod routes;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use confab_cache::Cache;
use confab_database::Database;
use confab_delivery::Delivery;
use confab_rpc::threads::Entry;
use confab_runtime::{Clock, Tasks};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesOrdered;

use crate::Outlet;
use directory::Directory;
use marks::Marks;
use queue::Queue;

/// Batches that wait for the broker's confirmation while the next one forms.
const IN_FLIGHT: usize = 8;

/// Publishes what was committed.
#[derive(Debug)]
pub struct Relay {
    queue: Arc<Queue>,
}

impl Relay {
    /// Starts to publish, until `tasks` are stopping. `database` is the one of the threads service, migrated.
    #[must_use]
    pub fn start(
        delivery: Delivery,
        cache: Cache,
        database: Database,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let queue = Arc::new(Queue::default());
        let marks = Marks::new(database, delivery.clone(), Arc::clone(&queue), clock);
        let stopping = tasks.stopping();
        tasks.spawn("relay marks", async move {
            stopping.run_until_cancelled(marks.run()).await;
        });
        let stopping = tasks.stopping();
        let carrying = carry(Arc::clone(&queue), Directory::new(cache), delivery);
        let carrying = Box::pin(carrying);
        tasks.spawn("relay", async move {
            stopping.run_until_cancelled(carrying).await;
        });
        Arc::new(Self { queue })
    }

    /// Entries that found the queue full since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Outlet for Relay {
    fn committed(&self, entries: &[Entry]) {
        self.queue.push(entries);
    }
}

/// Takes what has gathered while the batch before was routed, and keeps several batches under way.
async fn carry(queue: Arc<Queue>, mut directory: Directory, delivery: Delivery) {
    let mut under_way = FuturesOrdered::new();
    loop {
        tokio::select! {
            Some(count) = under_way.next() => {
                #[cfg(feature = "faults")]
                fail::fail_point!("after_publish_before_mark");
                queue.settle(count);
            }
            batch = queue.take(), if under_way.len() < IN_FLIGHT => {
                let count = batch.len();
                let known = directory.look(&batch).await;
                // Called here, in order; only the confirmations are waited for later.
                let calls: Vec<_> = routes::group(batch, &known)
                    .into_iter()
                    .map(|(to, events)| delivery.publish(&to, events))
                    .collect();
                under_way.push_back(async move {
                    for outcome in join_all(calls).await {
                        if let Err(error) = outcome {
                            tracing::debug!(%error, "entries were not published");
                        }
                    }
                    count
                });
            }
        }
    }
}
