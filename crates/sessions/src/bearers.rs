//! Who the tokens of sign-in sessions belong to. Every request and every socket asks it: whoever waits when the last answer
//! is there is looked up with the others, in one statement.

use std::sync::Arc;

use confab_rpc::Fault;
use confab_runtime::batches::{Batches, Size, Undone, Work};
use confab_runtime::{Clock, Tasks};
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::sign_in::Session;
use crate::store::{Store, within};
use crate::user::User;

/// Tokens that wait; more are refused.
const QUEUE: usize = 4096;
/// Tokens of one statement.
const BATCH: usize = 128;

/// Where tokens are handed in. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Bearers(Batches<Desk>);

impl Bearers {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        let size = Size {
            queue: QUEUE,
            batch: BATCH,
        };
        Self(Batches::new(Desk { store, clock }, "bearers", size, tasks))
    }

    /// A user and their session, if it is theirs and goes on.
    pub(crate) async fn find(
        &self,
        user: Uuid,
        session: Uuid,
    ) -> Result<Option<(User, Session)>, Status> {
        match self.0.hand_in((user, session)).await {
            Ok(found) => Ok(found?),
            Err(Undone::Busy) => Err(Error::Busy.into()),
            Err(Undone::Broken) => Err(Error::Interrupted.into()),
        }
    }
}

struct Desk {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Work for Desk {
    /// A user and a session.
    type Job = (Uuid, Uuid);
    type Outcome = Result<Option<(User, Session)>, Fault>;

    async fn work(&self, jobs: Vec<Self::Job>) -> Vec<Self::Outcome> {
        let found = self.store.users_in_sessions(&jobs, self.clock.now());
        match within(found).await {
            Ok(found) => jobs.iter().map(|job| Ok(found.get(job).cloned())).collect(),
            Err(error) => {
                let fault = Fault::from(Status::from(error));
                jobs.iter().map(|_| Err(fault.clone())).collect()
            }
        }
    }
}
