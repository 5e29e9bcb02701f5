//! What is released when nobody settles it, and deleted when nobody can need it any more.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::Store;
use super::entity::reservation;
use super::sign_in_entity::{revocation, sign_in_attempt, sign_in_session, ticket};
use crate::error::Error;

#[cfg(test)]
mod tests;

/// For how long what has ended is still answered for.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Rows that are looked at at a time.
const BATCH: u64 = 1000;

impl Store {
    /// Releases reservations that have outlived their time; says how many. Each is settled as its holder would settle
    /// it, at no cost: of the two the first one stands, and the other one changes nothing.
    pub(crate) async fn release_expired(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let mut released = 0;
        loop {
            let runs: Vec<Uuid> = reservation::Entity::find()
                .filter(reservation::Column::SettledAt.is_null())
                .filter(reservation::Column::ExpiresAt.lte(now))
                .order_by_asc(reservation::Column::ExpiresAt)
                .limit(BATCH)
                .select_only()
                .column(reservation::Column::RunId)
                .into_tuple()
                .all(self.database.read())
                .await?;
            if runs.is_empty() {
                return Ok(released);
            }
            for run in runs {
                match self.settle(run, 0, now).await {
                    Ok(_) => released += 1,
                    // Its user was removed.
                    Err(Error::ReservationNotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Deletes tickets that nobody used, sessions that ended a day ago with their refresh tokens, what gateways were
    /// told a day ago, and failures that are a day old.
    pub(crate) async fn sweep(&self, now: DateTime<Utc>) -> Result<(), DbErr> {
        let write = self.database.write();
        let long_ago = now - KEPT;
        ticket::Entity::delete_many()
            .filter(ticket::Column::ExpiresAt.lt(now))
            .exec(write)
            .await?;
        let over = Condition::any()
            .add(sign_in_session::Column::ExpiresAt.lt(long_ago))
            .add(sign_in_session::Column::EndedAt.lt(long_ago));
        sign_in_session::Entity::delete_many()
            .filter(over)
            .exec(write)
            .await?;
        revocation::Entity::delete_many()
            .filter(revocation::Column::RevokedAt.lt(long_ago))
            .exec(write)
            .await?;
        self.sweep_attempts(long_ago).await
    }

    /// One row at a time: an attempt under way locks several, and who also locks several may wait for it in a circle.
    async fn sweep_attempts(&self, long_ago: DateTime<Utc>) -> Result<(), DbErr> {
        let old = sign_in_attempt::Column::CountedAt.lt(long_ago);
        loop {
            let rows = sign_in_attempt::Entity::find()
                .filter(old.clone())
                .limit(BATCH)
                .all(self.database.read())
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                sign_in_attempt::Entity::delete_by_id(row.key)
                    .filter(old.clone())
                    .exec(self.database.write())
                    .await?;
            }
        }
    }
}
