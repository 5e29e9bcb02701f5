//! Who writes exchanges with models and the ends of answers: whatever waits crosses in one transaction. What is written,
//! and how, is the store's business.

use std::sync::Arc;
use std::time::Duration;

use confab_database::Database;
use confab_rpc::{Fault, Reason};
use confab_runtime::batches::{Batches, Size, Undone, Work};
use confab_runtime::{Clock, Tasks};
use futures_util::future::join_all;
use sea_orm::{ConnAcquireErr, DbErr};
use tokio::time::timeout;
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::exchange::NewExchange;
use crate::store::steps::{AnswerEnd, Step, Written, take_together};
use crate::store::{Answer, Exchange, Threads, message};

/// Steps that wait; more are refused.
const QUEUE: usize = 4096;
/// Steps in one transaction.
const BATCH: usize = 64;

/// The longest that one transaction may take: the next ones wait for it. The database limits its statements itself, so this
/// is a connection that died without a word.
const LONGEST: Duration = Duration::from_secs(6);

/// Where steps are handed in. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Scribe(Batches<Desk>);

impl Scribe {
    pub(crate) fn new(database: Database, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        let size = Size {
            queue: QUEUE,
            batch: BATCH,
        };
        let desk = Desk { database, clock };
        Self(Batches::new(desk, "threads scribe", size, tasks))
    }

    /// See [`Threads::append`].
    pub(crate) async fn append(&self, user: Uuid, new: NewExchange) -> Result<Exchange, Status> {
        match self.take(Step::Append(user, new)).await? {
            Written::Appended(exchange) => Ok(*exchange),
            Written::Ended(_) => Err(broken()),
        }
    }

    /// See [`Answer::end`].
    pub(crate) async fn end(&self, end: AnswerEnd) -> Result<message::Model, Status> {
        match self.take(Step::End(end)).await? {
            Written::Ended(message) => Ok(*message),
            Written::Appended(_) => Err(broken()),
        }
    }

    async fn take(&self, step: Step) -> Result<Written, Status> {
        match self.0.hand_in(step).await {
            Ok(written) => Ok(written?),
            Err(Undone::Busy) => {
                let fault = Fault::new(Reason::Overloaded, "too many exchanges wait to be stored");
                Err(fault.into())
            }
            Err(Undone::Broken) => Err(broken()),
        }
    }
}

/// It may have been written; every step can be repeated.
fn broken() -> Status {
    Fault::new(Reason::Internal, "the threads service failed").into()
}

struct Desk {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl Work for Desk {
    type Job = Step;
    type Outcome = Result<Written, Error>;

    async fn work(&self, steps: Vec<Step>) -> Vec<Result<Written, Error>> {
        let written = match steps.as_slice() {
            [] | [_] => Vec::new(),
            _ => within(take_together(&self.database, &steps, self.clock.now()))
                .await
                .unwrap_or_else(|error| {
                    tracing::debug!(%error, "steps of several threads are taken one by one");
                    Vec::new()
                }),
        };
        let mut written = written.into_iter();
        let outcomes = steps.into_iter().map(|step| {
            let written = written.next().flatten();
            async move {
                match written {
                    Some(written) => Ok(written),
                    None => Box::pin(within(self.take_alone(step))).await,
                }
            }
        });
        join_all(outcomes).await
    }
}

async fn within<T, E: From<DbErr>>(step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = |_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).into());
    timeout(LONGEST, step).await.unwrap_or_else(late)
}

impl Desk {
    async fn take_alone(&self, step: Step) -> Result<Written, Error> {
        let now = self.clock.now();
        match step {
            Step::Append(user, new) => {
                let exchange = Threads::of(&self.database, user).append(&new, now).await?;
                Ok(Written::Appended(Box::new(exchange)))
            }
            Step::End(end) => {
                let message = Answer::of(&self.database, end.thread_id, end.message_id, end.run_id)
                    .end(end.fence, end.ending, now)
                    .await?;
                Ok(Written::Ended(Box::new(message)))
            }
        }
    }
}
