//! Work that is done for many as cheaply as for one: whatever waits when the last batch is done is done in the next one.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::Tasks;

#[cfg(test)]
mod tests;

/// What is done with a batch.
pub trait Work: Send + Sync + 'static {
    /// One of a batch.
    type Job: Send + 'static;
    /// What came of it.
    type Outcome: Send + 'static;

    /// Does all of the jobs; the outcomes are in their order.
    fn work(&self, jobs: Vec<Self::Job>) -> impl Future<Output = Vec<Self::Outcome>> + Send;
}

/// Why a job has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// Too many wait: it was not begun.
    #[error("too much waits")]
    Busy,
    /// The work broke down: it may have been done.
    #[error("the work broke down")]
    Broken,
}

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Jobs that may wait; more are refused.
    pub queue: usize,
    /// Jobs in one batch.
    pub batch: usize,
}

/// Where jobs are handed in. Clones hand in to the same task.
///
/// The task runs for as long as something waits, also when the process is ending.
pub struct Batches<W: Work>(Arc<Desk<W>>);

impl<W: Work> Clone for Batches<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Work> fmt::Debug for Batches<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batches").field(&self.0.name).finish()
    }
}

struct Desk<W: Work> {
    work: W,
    name: &'static str,
    size: Size,
    tasks: Tasks,
    waiting: Mutex<Waiting<W>>,
}

struct Waiting<W: Work> {
    jobs: Vec<(W::Job, oneshot::Sender<W::Outcome>)>,
    /// There is a task that will take them.
    served: bool,
}

impl<W: Work> Batches<W> {
    /// Nothing waits yet. The task bears the name.
    pub fn new(work: W, name: &'static str, size: Size, tasks: Tasks) -> Self {
        let waiting = Waiting {
            jobs: Vec::new(),
            served: false,
        };
        Self(Arc::new(Desk {
            work,
            name,
            size,
            tasks,
            waiting: Mutex::new(waiting),
        }))
    }

    /// Has a job done, together with others that wait. It is done as well when the caller goes away.
    pub async fn hand_in(&self, job: W::Job) -> Result<W::Outcome, Undone> {
        let (outcome, done) = oneshot::channel();
        self.queue(job, outcome)?;
        done.await.map_err(|_| Undone::Broken)
    }

    fn queue(&self, job: W::Job, outcome: oneshot::Sender<W::Outcome>) -> Result<(), Undone> {
        let mut waiting = self.0.waiting();
        if waiting.jobs.len() >= self.0.size.queue {
            return Err(Undone::Busy);
        }
        waiting.jobs.push((job, outcome));
        if !std::mem::replace(&mut waiting.served, true) {
            let shift = Shift {
                desk: Arc::clone(&self.0),
                over: false,
            };
            self.0.tasks.spawn(self.0.name, shift.run());
        }
        Ok(())
    }
}

impl<W: Work> Desk<W> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<W>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Batch<W> = (
    Vec<<W as Work>::Job>,
    Vec<oneshot::Sender<<W as Work>::Outcome>>,
);

/// Works until nothing waits.
struct Shift<W: Work> {
    desk: Arc<Desk<W>>,
    /// Nothing waited; what comes then finds another one.
    over: bool,
}

impl<W: Work> Shift<W> {
    async fn run(mut self) {
        while let Some((jobs, seats)) = self.next() {
            let outcomes = self.desk.work.work(jobs).await;
            for (outcome, seat) in outcomes.into_iter().zip(seats) {
                // Whoever asked may be gone.
                let _ = seat.send(outcome);
            }
        }
        self.over = true;
    }

    fn next(&self) -> Option<Batch<W>> {
        let mut waiting = self.desk.waiting();
        waiting.served = !waiting.jobs.is_empty();
        if !waiting.served {
            return None;
        }
        let count = waiting.jobs.len().min(self.desk.size.batch);
        Some(waiting.jobs.drain(..count).unzip())
    }
}

impl<W: Work> Drop for Shift<W> {
    /// After a panic somebody has to take what comes. What waits is told.
    fn drop(&mut self) {
        if !self.over {
            let mut waiting = self.desk.waiting();
            waiting.served = false;
            waiting.jobs.clear();
        }
    }
}
