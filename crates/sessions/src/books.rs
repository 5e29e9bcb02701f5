//! The task that sets money aside and books charges: whatever waits when it comes free crosses in one transaction. What
//! an entry does to the accounts is [`crate::store`]'s business.

use std::sync::Arc;

use confab_rpc::Fault;
use confab_runtime::{Clock, Tasks};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::store::{Booked, Entry, NewReservation, Settled, Store, failure};

/// Entries that wait; more wait outside.
const QUEUE: usize = 1024;
/// Entries in one transaction.
const BATCH: usize = 64;

type Outcome = Result<Booked, Status>;

struct Job {
    entry: Entry,
    outcome: oneshot::Sender<Outcome>,
}

/// Where entries are handed in. Clones hand in to the same task.
#[derive(Debug, Clone)]
pub(crate) struct Books(mpsc::Sender<Job>);

impl Books {
    /// Opens them; they are closed, with all that was handed in, when `tasks` is stopping.
    pub(crate) fn open(store: Store, clock: Arc<dyn Clock>, tasks: &Tasks) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let keeper = Keeper { store, clock };
        tasks.spawn("books", keeper.run(jobs, tasks.stopping()));
        Self(queue)
    }

    /// Sets money aside for a run and says how much; see [`Entry::Reserve`].
    pub(crate) async fn reserve(&self, new: NewReservation) -> Result<i64, Status> {
        match self.enter(Entry::Reserve(new)).await? {
            Booked::Reserved(amount) => Ok(amount),
            Booked::Settled(_) => Err(Error::Interrupted.into()),
        }
    }

    /// Ends a reservation and books what its run cost; see [`Entry::Settle`].
    pub(crate) async fn settle(&self, run_id: Uuid, cost: i64) -> Result<Settled, Status> {
        match self.enter(Entry::Settle { run_id, cost }).await? {
            Booked::Settled(settled) => Ok(settled),
            Booked::Reserved(_) => Err(Error::Interrupted.into()),
        }
    }

    async fn enter(&self, entry: Entry) -> Outcome {
        let (outcome, entered) = oneshot::channel();
        let job = Job { entry, outcome };
        let closed = |()| Status::from(Error::Interrupted);
        self.0.send(job).await.map_err(|_| closed(()))?;
        entered.await.unwrap_or_else(|_| Err(closed(())))
    }
}

struct Keeper {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    async fn run(self, mut jobs: mpsc::Receiver<Job>, stopping: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = stopping.cancelled(), if !jobs.is_closed() => jobs.close(),
                received = jobs.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    let (entries, outcomes): (Vec<_>, Vec<_>) =
                        batch.drain(..).map(|job| (job.entry, job.outcome)).unzip();
                    self.commit(&entries, outcomes).await;
                }
            }
        }
    }

    async fn commit(&self, entries: &[Entry], outcomes: Vec<oneshot::Sender<Outcome>>) {
        match self.store.book(entries, self.clock.now()).await {
            Ok(booked) => {
                for (booked, outcome) in booked.into_iter().zip(outcomes) {
                    // Whoever asked may be gone.
                    let _ = outcome.send(booked.map_err(Status::from));
                }
            }
            Err(error) if entries.len() == 1 || confab_database::is_unavailable(&error) => {
                let fault = Fault::from(Status::from(failure(error)));
                for outcome in outcomes {
                    let _ = outcome.send(Err(fault.clone().into()));
                }
            }
            // One by one, so that an entry which fails takes no other along.
            Err(_) => {
                for (entry, outcome) in entries.iter().zip(outcomes) {
                    let entry = std::slice::from_ref(entry);
                    Box::pin(self.commit(entry, vec![outcome])).await;
                }
            }
        }
    }
}
