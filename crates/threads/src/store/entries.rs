//! Single messages of a user's threads with a model: reading them, and taking what they say away.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    Select,
};
use uuid::Uuid;

use super::log::weight;
use super::message::Attachments;
use super::{Threads, message, thread};
use crate::answer::{Receipt, State};
use crate::error::Error;
use crate::page::{BYTES, Extent, MESSAGES, fill};
use crate::thread::Kind;

/// A message and the thread it is in.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Found {
    #[sea_orm(nested)]
    pub(crate) message: message::Model,
    pub(crate) thread_id: Uuid,
}

impl Threads<'_> {
    pub(crate) async fn message(&self, id: i64) -> Result<Found, Error> {
        let found = self.load(&[id]).await?;
        found.into_iter().next().ok_or(Error::MessageNotFound)
    }

    /// Those of these messages that are there, in this order, each once, and whether some did not fit.
    pub(crate) async fn messages_among(&self, ids: &[i64]) -> Result<(Vec<Found>, bool), Error> {
        // Lengths first: what does not fit into the reply is never loaded.
        let mut lengths = self.lengths(ids).await?;
        let there: Vec<(i64, i64)> = ids
            .iter()
            .filter_map(|id| lengths.remove_entry(id))
            .collect();
        let extents: Vec<Extent> = (0..)
            .zip(&there)
            .map(|(seq, (_, bytes))| Extent { seq, bytes: *bytes })
            .collect();
        let page = fill(&extents, MESSAGES, BYTES);
        let held = page.seqs.map_or(0, RangeInclusive::count);
        let held: Vec<i64> = there[..held].iter().map(|(id, _)| *id).collect();
        let mut found: HashMap<i64, Found> = self
            .load(&held)
            .await?
            .into_iter()
            .map(|found| (found.message.id, found))
            .collect();
        let found = held.iter().filter_map(|id| found.remove(id)).collect();
        Ok((found, page.more))
    }

    /// Leaves of a message nothing but its place in the log, its key and its run.
    ///
    /// The key and the run stay so that a repeated call does not write the message again. Without a fingerprint, which
    /// is made of the text, such a call is told that the key is used.
    pub(crate) async fn delete_message(&self, id: i64, at: DateTime<Utc>) -> Result<(), Error> {
        let transaction = self.database.begin().await?;
        let message = self.there().filter(message::Column::Id.eq(id));
        let message = message.one(&transaction).await?;
        let message = message.ok_or(Error::MessageNotFound)?;
        count_deletion(&transaction, &message).await?;
        let deleted = message::Entity::update_many()
            .col_expr(message::Column::State, Expr::val(State::Deleted))
            .col_expr(message::Column::Content, Expr::val(""))
            .col_expr(
                message::Column::Attachments,
                Expr::val(Attachments::default()),
            )
            .col_expr(message::Column::Fingerprint, Expr::val(None::<Vec<u8>>))
            .col_expr(message::Column::Receipt, Expr::val(None::<Receipt>))
            .col_expr(message::Column::UpdatedAt, Expr::val(at))
            .filter(message::Column::Id.eq(id))
            .filter(message::Column::State.ne(State::Deleted))
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            transaction.rollback().await?;
            return Err(Error::MessageNotFound);
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The messages of the user's threads with a model that are there.
    fn there(&self) -> Select<message::Entity> {
        message::Entity::find()
            .inner_join(thread::Entity)
            .filter(thread::Column::Kind.eq(Kind::Assistant))
            .filter(Expr::exists(self.membership()))
            .filter(message::Column::State.ne(State::Deleted))
    }

    async fn load(&self, ids: &[i64]) -> Result<Vec<Found>, DbErr> {
        self.there()
            .column_as(thread::Column::Id, "thread_id")
            .filter(message::Column::Id.is_in(ids.iter().copied()))
            .into_model()
            .all(self.database.read())
            .await
    }

    /// How much room each of these messages takes.
    async fn lengths(&self, ids: &[i64]) -> Result<HashMap<i64, i64>, DbErr> {
        let lengths: Vec<(i64, i64)> = self
            .there()
            .select_only()
            .column(message::Column::Id)
            .expr_as(weight(), "bytes")
            .filter(message::Column::Id.is_in(ids.iter().copied()))
            .into_tuple()
            .all(self.database.read())
            .await?;
        Ok(lengths.into_iter().collect())
    }
}

/// Tells the message's thread that it is deleted, which locks the thread before the message. A summary that covers the
/// message goes, and one that is being written from it will not be accepted.
async fn count_deletion(
    transaction: &impl ConnectionTrait,
    message: &message::Model,
) -> Result<(), DbErr> {
    thread::Entity::update_many()
        .col_expr(
            thread::Column::Deletions,
            Expr::col(thread::Column::Deletions).add(1),
        )
        .filter(thread::Column::Number.eq(message.thread))
        .exec(transaction)
        .await?;
    thread::Entity::update_many()
        .col_expr(thread::Column::Summary, Expr::val(""))
        .col_expr(thread::Column::SummarySeq, Expr::val(0))
        .filter(thread::Column::Number.eq(message.thread))
        .filter(thread::Column::SummarySeq.gte(message.seq))
        .exec(transaction)
        .await?;
    Ok(())
}
