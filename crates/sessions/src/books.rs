//! Sets money aside and books charges: whatever waits when the last transaction is over crosses in the next one. What an
//! entry does to the accounts is [`crate::store`]'s business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use confab_rpc::Fault;
use confab_runtime::{Clock, Tasks};
use tokio::sync::oneshot;
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::store::{Booked, Entry, NewReservation, Settled, Store, failure};

/// Entries that wait; more are refused.
const QUEUE: usize = 4096;
/// Entries in one transaction.
const BATCH: usize = 64;

type Outcome = Result<Booked, Status>;

struct Job {
    entry: Entry,
    outcome: oneshot::Sender<Outcome>,
}

/// Where entries are handed in. Cloning is cheap; clones hand in to the same task.
///
/// The task runs for as long as something waits, also when the process is ending: what others end then has a price.
#[derive(Clone)]
pub(crate) struct Books(Arc<Desk>);

struct Desk {
    store: Store,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    /// There is a task that will take them.
    kept: bool,
}

impl Books {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        Self(Arc::new(Desk {
            store,
            clock,
            tasks,
            waiting: Mutex::default(),
        }))
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
        self.hand_in(Job { entry, outcome })?;
        let interrupted = |_| Err(Error::Interrupted.into());
        entered.await.unwrap_or_else(interrupted)
    }

    fn hand_in(&self, job: Job) -> Result<(), Error> {
        let mut waiting = self.0.waiting();
        if waiting.jobs.len() >= QUEUE {
            return Err(Error::Busy);
        }
        waiting.jobs.push(job);
        if !std::mem::replace(&mut waiting.kept, true) {
            let keeper = Keeper {
                desk: Arc::clone(&self.0),
                done: false,
            };
            self.0.tasks.spawn("books", keeper.run());
        }
        Ok(())
    }
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits until nothing waits.
struct Keeper {
    desk: Arc<Desk>,
    /// Nothing waited; whoever keeps the books from then on is another one.
    done: bool,
}

impl Keeper {
    async fn run(mut self) {
        while let Some((entries, outcomes)) = self.next() {
            self.commit(&entries, outcomes).await;
        }
        self.done = true;
    }

    /// What is to be committed next; without anything the next entry finds another keeper.
    fn next(&self) -> Option<(Vec<Entry>, Vec<oneshot::Sender<Outcome>>)> {
        let mut waiting = self.desk.waiting();
        waiting.kept = !waiting.jobs.is_empty();
        if !waiting.kept {
            return None;
        }
        let count = waiting.jobs.len().min(BATCH);
        let jobs = waiting.jobs.drain(..count);
        Some(jobs.map(|job| (job.entry, job.outcome)).unzip())
    }

    async fn commit(&self, entries: &[Entry], outcomes: Vec<oneshot::Sender<Outcome>>) {
        match self.desk.store.book(entries, self.desk.clock.now()).await {
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

impl Drop for Keeper {
    /// After a panic somebody has to take what comes. What waits is told that it was interrupted.
    fn drop(&mut self) {
        if !self.done {
            let mut waiting = self.desk.waiting();
            waiting.kept = false;
            waiting.jobs.clear();
        }
    }
}
