//! Where the threads of users end, as each socket asks before it opens. Who waits while others are asked for is asked for with
//! those who wait as well: after an outage everybody comes back at once.

use confab_rpc::threads::{ListPositionsRequest, Position};
use confab_rpc::{Fault, Reason};
use confab_runtime::Tasks;
use confab_runtime::batches::{Batches, Size, Undone, Work};
use uuid::Uuid;

use super::away;
use crate::backends::Backends;

/// Users who wait; more are turned away.
const QUEUE: usize = 16 * 1024;

/// Users of one `ListPositions`, which takes 100.
const BATCH: usize = 100;

/// The positions of users. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Positions(Batches<Desk>);

impl Positions {
    pub(super) fn open(backends: &Backends, tasks: &Tasks) -> Self {
        let size = Size {
            queue: QUEUE,
            batch: BATCH,
        };
        let desk = Desk(backends.clone());
        Self(Batches::new(desk, "positions", size, tasks.clone()))
    }

    /// Where the logs of a user's threads end.
    pub(super) async fn of(&self, user: Uuid) -> Result<Vec<Position>, Fault> {
        match self.0.hand_in(user).await {
            Ok(found) => found,
            Err(Undone::Busy | Undone::Broken) => Err(away()),
        }
    }
}

struct Desk(Backends);

impl Work for Desk {
    type Job = Uuid;
    type Outcome = Result<Vec<Position>, Fault>;

    async fn work(&self, users: Vec<Uuid>) -> Vec<Self::Outcome> {
        let request = ListPositionsRequest {
            user_ids: users.iter().map(Uuid::to_string).collect(),
        };
        let found = match self.0.people().list_positions(request).await {
            Ok(found) => found.into_inner().users,
            Err(status) => {
                let fault = Fault::from(status);
                return users.iter().map(|_| Err(fault.clone())).collect();
            }
        };
        let mut found = found.into_iter();
        let of_each = users.iter().map(|_| match found.next() {
            Some(user) => Ok(user.positions),
            None => Err(Fault::new(
                Reason::Internal,
                "positions of a user are missing",
            )),
        });
        of_each.collect()
    }
}
