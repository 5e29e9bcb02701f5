//! The tasks that commit what people send: whatever waits when one comes free crosses in one transaction.
//!
//! Each place has its writer, so one sender's messages to one place keep their order. What is written, and how, is the
//! store's business.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use confab_database::Database;
use confab_rpc::threads::{Entry, Sent};
use confab_rpc::{Fault, Reason};
use confab_runtime::{Clock, Tasks};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use crate::encode;
use crate::error::Error;
use crate::outlet::Outlet;
use crate::people::{Known, NewEntry, Pair};
use crate::store::people::batch::{Appended, Failure, append};

/// Sends that wait for one writer; more are refused.
const QUEUE: usize = 8192;
/// Sends in one transaction.
const BATCH: usize = 256;
/// Pairs whose thread one writer remembers: at least so many.
const PAIRS: usize = 50_000;
/// How often one send is tried alone while other replicas take its key.
const ATTEMPTS: u32 = 3;

/// The longest that one transaction may take: nobody waits for it any more, and the next ones do. The database limits
/// its statements itself, so this is a connection that died without a word.
const LONGEST: Duration = Duration::from_secs(6);

/// A send on its way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) entry: NewEntry,
    pub(crate) ticket: Ticket,
}

/// Where a send's outcome goes. The channel holds as many outcomes as there are permits, so it is never full.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) call: u64,
    pub(crate) outcomes: mpsc::Sender<Answered>,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// An outcome. The permit is given back when it leaves.
pub(crate) type Answered = (Sent, OwnedSemaphorePermit);

impl Ticket {
    pub(crate) fn refuse(self, fault: Fault) {
        let refused = encode::refused(self.call, fault);
        self.answer(refused);
    }

    fn answer(self, sent: Sent) {
        // Whoever asked may be gone.
        let _ = self.outcomes.try_send((sent, self.permit));
    }
}

/// The queues of all writers.
#[derive(Debug, Clone)]
pub(crate) struct Writers(Arc<[mpsc::Sender<Job>]>);

impl Writers {
    pub(crate) fn open(
        count: usize,
        database: &Database,
        outlet: &Arc<dyn Outlet>,
        clock: &Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Self {
        let queues = (0..count).map(|_| {
            let (queue, jobs) = mpsc::channel(QUEUE);
            let writer = Writer {
                database: database.clone(),
                known: Known::new(PAIRS),
                outlet: Arc::clone(outlet),
                clock: Arc::clone(clock),
            };
            tasks.spawn("threads writer", writer.run(jobs, tasks.stopping()));
            queue
        });
        Self(queues.collect())
    }

    /// Queues a send with the writer of its place; refuses it at once when that has too much to do.
    pub(crate) fn send(&self, job: Job) {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(job.entry.place);
        let writers = u64::try_from(self.0.len()).unwrap_or(1);
        let writer = usize::try_from(hash % writers).unwrap_or(0);
        if let Err(refused) = self.0[writer].try_send(job) {
            let ticket = refused.into_inner().ticket;
            ticket.refuse(Fault::new(
                Reason::Overloaded,
                "too many messages wait to be stored",
            ));
        }
    }
}

struct Writer {
    database: Database,
    known: Known<Pair, i64>,
    outlet: Arc<dyn Outlet>,
    clock: Arc<dyn Clock>,
}

impl Writer {
    /// Commits until the process stops, and then what is queued.
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, stopping: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = stopping.cancelled(), if !jobs.is_closed() => jobs.close(),
                received = jobs.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    let (entries, tickets) =
                        batch.drain(..).map(|job| (job.entry, job.ticket)).unzip();
                    self.commit(entries, tickets).await;
                }
            }
        }
    }

    async fn commit(&mut self, entries: Vec<NewEntry>, tickets: Vec<Ticket>) {
        match self.append(&entries).await {
            Ok(outcomes) => {
                #[cfg(feature = "faults")]
                fail::fail_point!("after_commit_before_ack");
                self.answer(outcomes, tickets);
            }
            Err(failure) if failure.is_about_rows() => self.commit_each(entries, tickets).await,
            Err(failure) => {
                let fault = Fault::from(Error::Database(failure.into_cause()));
                for ticket in tickets {
                    ticket.refuse(fault.clone());
                }
            }
        }
    }

    /// One by one, so that a row which fails takes no other along.
    async fn commit_each(&mut self, entries: Vec<NewEntry>, tickets: Vec<Ticket>) {
        for (entry, ticket) in entries.into_iter().zip(tickets) {
            match self.commit_alone(&[entry]).await {
                Ok(outcomes) => self.answer(outcomes, vec![ticket]),
                Err(failure) => ticket.refuse(Error::Database(failure.into_cause()).into()),
            }
        }
    }

    async fn commit_alone(&mut self, entry: &[NewEntry]) -> Result<Outcomes, Failure> {
        for _ in 1..ATTEMPTS {
            match self.append(entry).await {
                Err(failure) if failure.is_collision() => {}
                outcome => return outcome,
            }
        }
        self.append(entry).await
    }

    async fn append(&mut self, entries: &[NewEntry]) -> Result<Outcomes, Failure> {
        let appending = append(&self.database, &mut self.known, entries, self.clock.now());
        let done = tokio::time::timeout(LONGEST, appending).await;
        done.unwrap_or_else(|_| Err(Failure::late()))
    }

    fn answer(&self, outcomes: Outcomes, tickets: Vec<Ticket>) {
        let mut committed: Vec<Entry> = Vec::with_capacity(outcomes.len());
        for (outcome, ticket) in outcomes.into_iter().zip(tickets) {
            match outcome {
                Ok(Appended { entry, replayed }) => {
                    let entry = Entry::from(entry);
                    if !replayed {
                        committed.push(entry.clone());
                    }
                    let sent = encode::sent(ticket.call, entry, replayed);
                    ticket.answer(sent);
                }
                Err(error) => ticket.refuse(error.into()),
            }
        }
        if !committed.is_empty() {
            self.outlet.committed(&committed);
        }
    }
}

type Outcomes = Vec<Result<Appended, Error>>;
