//! What is deleted when nobody can need it any more.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::Store;
use super::sign_in_entity::{revocation, sign_in_attempt, sign_in_session, ticket};

#[cfg(test)]
mod tests;

/// For how long what has ended is still answered for.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Failures that are deleted at a time.
const BATCH: u64 = 1000;

impl Store {
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
