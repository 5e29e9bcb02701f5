//! Counts of attempts to sign in, shared by all replicas.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};

use super::Store;
use super::sign_in_entity::sign_in_attempt;
use crate::error::Error;
use crate::throttle::{Attempt, Count};

impl Store {
    /// Counts an attempt before its password is looked at, so that attempts made at once are counted as well; or says
    /// how long to wait, which counts for nothing.
    pub(crate) async fn begin_attempt(
        &self,
        attempt: &Attempt,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let transaction = self.database.begin().await?;
        let rows = attempt
            .keys
            .iter()
            .map(|(key, _)| sign_in_attempt::ActiveModel {
                key: Set(key.clone()),
                failures: Set(0),
                counted_at: Set(now),
                blocked_until: Set(now),
            });
        // The update changes nothing: it locks the rows that are there already, in the order of the keys.
        let locked = OnConflict::column(sign_in_attempt::Column::Key)
            .update_column(sign_in_attempt::Column::Key)
            .to_owned();
        let rows = sign_in_attempt::Entity::insert_many(rows)
            .on_conflict(locked)
            .exec_with_returning(&transaction)
            .await?;
        let blocked_until = rows.iter().map(|row| row.blocked_until).max();
        let wait = blocked_until.map_or(0, |until| (until - now).num_milliseconds());
        if let Ok(milliseconds @ 1..) = u64::try_from(wait) {
            return Err(Error::Throttled(milliseconds.div_ceil(1000)));
        }
        for row in rows {
            let rule = attempt.keys.iter().find(|(key, _)| *key == row.key);
            let Some((key, rule)) = rule else { continue };
            let next = rule.next(Count::from(&row), now);
            let row = sign_in_attempt::ActiveModel {
                key: Set(key.clone()),
                failures: Set(next.failures),
                counted_at: Set(next.counted_at),
                blocked_until: Set(next.blocked_until),
            };
            row.update(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Takes back what was counted for an attempt whose password was right. What others did wrong stays counted.
    pub(crate) async fn forgive(&self, attempt: &Attempt, now: DateTime<Utc>) -> Result<(), Error> {
        let write = self.database.write();
        sign_in_attempt::Entity::delete_by_id(attempt.pair.clone())
            .exec(write)
            .await?;
        for (key, _) in attempt.keys.iter().filter(|(key, _)| *key != attempt.pair) {
            let failures = sign_in_attempt::Column::Failures;
            sign_in_attempt::Entity::update_many()
                .col_expr(failures, Expr::col(failures).sub(1))
                .col_expr(sign_in_attempt::Column::BlockedUntil, Expr::value(now))
                .filter(sign_in_attempt::Column::Key.eq(key.clone()))
                .filter(failures.gt(0))
                .exec(write)
                .await?;
        }
        Ok(())
    }
}

impl From<&sign_in_attempt::Model> for Count {
    fn from(row: &sign_in_attempt::Model) -> Self {
        Self {
            failures: row.failures,
            counted_at: row.counted_at,
            blocked_until: row.blocked_until,
        }
    }
}
