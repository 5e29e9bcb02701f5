//! Sets money aside and books charges: whatever waits when the last transaction is over crosses in the next one. What an
//! entry does to the accounts is [`crate::store`]'s business.

use std::slice;
use std::sync::Arc;

use confab_rpc::Fault;
use confab_runtime::batches::{Batches, Size, Undone, Work};
use confab_runtime::{Clock, Tasks};
use sea_orm::DbErr;
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::store::{Booked, Entry, NewReservation, Settled, Store, failure, within};

/// Entries that wait; more are refused.
const QUEUE: usize = 4096;
/// Entries in one transaction.
const BATCH: usize = 64;

/// Where entries are handed in. Cloning is cheap; clones hand in to the same task, which goes on while the process is
/// ending: what others end then has a price.
#[derive(Clone)]
pub(crate) struct Books(Batches<Desk>);

impl Books {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        let size = Size {
            queue: QUEUE,
            batch: BATCH,
        };
        Self(Batches::new(Desk { store, clock }, "books", size, tasks))
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

    async fn enter(&self, entry: Entry) -> Result<Booked, Status> {
        match self.0.hand_in(entry).await {
            Ok(booked) => booked,
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
    type Job = Entry;
    type Outcome = Result<Booked, Status>;

    async fn work(&self, entries: Vec<Entry>) -> Vec<Result<Booked, Status>> {
        match self.commit(&entries).await {
            Ok(booked) => booked,
            Err(error) if entries.len() == 1 || confab_database::is_unavailable(&error) => {
                let fault = fault(error);
                let refused = |_| Err(fault.clone().into());
                entries.iter().map(refused).collect()
            }
            // One by one, so that an entry which fails takes no other along.
            Err(_) => {
                let mut booked = Vec::with_capacity(entries.len());
                for entry in &entries {
                    match self.commit(slice::from_ref(entry)).await {
                        Ok(alone) => booked.extend(alone),
                        Err(error) => booked.push(Err(fault(error).into())),
                    }
                }
                booked
            }
        }
    }
}

impl Desk {
    async fn commit(&self, entries: &[Entry]) -> Result<Vec<Result<Booked, Status>>, DbErr> {
        let booked = within(self.store.book(entries, self.clock.now())).await?;
        let booked = booked.into_iter();
        Ok(booked.map(|booked| booked.map_err(Status::from)).collect())
    }
}

fn fault(error: DbErr) -> Fault {
    Status::from(failure(error)).into()
}
