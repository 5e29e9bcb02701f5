//! The service's tables: one method per question it asks, each its own transaction.
//!
//! Whoever changes a user's money or grants first locks the user's row, so that nobody else does in between.

mod accounts;
mod api_keys;
mod attempts;
mod books;
mod entity;
mod grants;
mod identities;
mod keys;
mod profiles;
mod sign_in_entity;
mod sign_ins;
mod sweep;
mod users;

use std::future::Future;
use std::time::Duration;

use confab_database::Database;
use sea_orm::{ConnAcquireErr, DatabaseTransaction, DbErr, EntityTrait, QuerySelect};
use tokio::time::timeout;
use uuid::Uuid;

use crate::error::Error;
use entity::user_account;

pub(crate) use books::{Booked, Entry, NewReservation, Settled, failure};
pub(crate) use entity::ledger::{Kind, Model as LedgerEntry};
pub(crate) use profiles::Candidate;
pub(crate) use sign_ins::Revocation;
pub(crate) use users::NewUser;

/// The longest that work for many may take: the next ones wait for it. The database limits its statements itself, so this is a
/// connection that died without a word.
const LONGEST: Duration = Duration::from_secs(6);

/// Gives up work that takes too long; it may have been done.
pub(crate) async fn within<T, E: From<DbErr>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let late = |_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).into());
    timeout(LONGEST, work).await.unwrap_or_else(late)
}

/// The service's tables.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }
}

/// Takes the lock on a user's row until the transaction ends.
async fn lock_user(
    transaction: &DatabaseTransaction,
    id: Uuid,
) -> Result<user_account::Model, Error> {
    user_account::Entity::find_by_id(id)
        .lock_exclusive()
        .one(transaction)
        .await?
        .ok_or(Error::UserNotFound)
}
