//! Writing an answer, by the run that holds it.

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::sea_query::{BinOper, Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, Iterable, QueryFilter,
    QuerySelect, Select,
};
use uuid::Uuid;

use super::log::bytes;
use super::{message, thread};
use crate::answer::{Ending, Piece, State, may_restart, may_write, unseen};
use crate::error::Error;
use crate::text::ANSWER_BYTES;

/// One run's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    database: &'a Database,
    thread_id: Uuid,
    message_id: i64,
    run_id: Uuid,
}

/// An answer without its text, and how long that is.
#[derive(Debug, FromQueryResult)]
struct Progress {
    #[sea_orm(nested)]
    message: message::Model,
    bytes: i64,
}

impl<'a> Answer<'a> {
    pub(crate) fn of(
        database: &'a Database,
        thread_id: Uuid,
        message_id: i64,
        run_id: Uuid,
    ) -> Self {
        Self {
            database,
            thread_id,
            message_id,
            run_id,
        }
    }

    /// Adds what of a piece is not there yet, and returns the message without its content.
    pub(crate) async fn extend(
        &self,
        fence: i64,
        piece: &Piece,
        at: DateTime<Utc>,
    ) -> Result<message::Model, Error> {
        let transaction = self.database.begin().await?;
        let progress = self.progress(&transaction).await?;
        may_write(progress.message.state, progress.message.fence, fence)?;
        let content = match piece {
            Piece::At(offset, text) => {
                let added = self.added(&transaction, &progress, *offset, text).await?;
                Expr::col(message::Column::Content).binary(BinOper::Custom("||"), added)
            }
            Piece::Instead(text) => {
                let stored = self.content(&transaction).await?;
                may_restart(&stored, progress.message.fence, fence, text)?;
                Expr::val(text)
            }
        };
        message::Entity::update_many()
            .col_expr(message::Column::Content, content)
            .col_expr(message::Column::Fence, Expr::val(fence))
            .col_expr(message::Column::UpdatedAt, Expr::val(at))
            .filter(message::Column::Id.eq(self.message_id))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(message::Model {
            fence,
            updated_at: at,
            ..progress.message
        })
    }

    /// What of text for that place is not there yet.
    async fn added<'text>(
        &self,
        transaction: &impl ConnectionTrait,
        progress: &Progress,
        offset: usize,
        text: &'text str,
    ) -> Result<&'text str, Error> {
        let stored = usize::try_from(progress.bytes).unwrap_or(usize::MAX);
        let added = if offset == stored {
            text
        } else {
            let content = self.content(transaction).await?;
            let tail = content.as_bytes().get(offset..).ok_or(Error::StaleWrite)?;
            unseen(tail, text)?
        };
        if stored.saturating_add(added.len()) > ANSWER_BYTES {
            return Err(Error::Invalid("an answer must be at most 2 MiB in UTF-8"));
        }
        Ok(added)
    }

    /// Ends the answer, or returns it as it stands when it has ended before.
    pub(crate) async fn end(
        &self,
        fence: i64,
        ending: Ending,
        at: DateTime<Utc>,
    ) -> Result<message::Model, Error> {
        let transaction = self.database.begin().await?;
        self.lock_thread(&transaction).await?;
        let message = self
            .find()
            .lock_exclusive()
            .one(&transaction)
            .await?
            .ok_or(Error::MessageNotFound)?;
        if message.state != State::Streaming {
            return Ok(message);
        }
        may_write(message.state, message.fence, fence)?;
        let mut update = message::Entity::update_many()
            .col_expr(message::Column::State, Expr::val(ending.state))
            .col_expr(message::Column::Fence, Expr::val(fence))
            .col_expr(message::Column::UpdatedAt, Expr::val(at))
            .col_expr(message::Column::Receipt, Expr::val(ending.receipt))
            .filter(message::Column::Id.eq(self.message_id));
        if let Some(content) = ending.content {
            update = update.col_expr(message::Column::Content, Expr::val(content));
        }
        if let Some(model) = ending.model {
            update = update.col_expr(message::Column::Model, Expr::val(model));
        }
        let ended = update.exec_with_returning(&transaction).await?;
        thread::Entity::update_many()
            .col_expr(thread::Column::ActiveAt, Expr::val(at))
            .filter(thread::Column::Number.eq(message.thread))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        ended.into_iter().next().ok_or(Error::MessageNotFound)
    }

    fn find(&self) -> Select<message::Entity> {
        let thread = Query::select()
            .column(thread::Column::Number)
            .from(thread::Entity)
            .and_where(thread::Column::Id.eq(self.thread_id))
            .to_owned();
        message::Entity::find()
            .filter(message::Column::Id.eq(self.message_id))
            .filter(message::Column::RunId.eq(self.run_id))
            .filter(message::Column::State.ne(State::Deleted))
            .filter(message::Column::Thread.in_subquery(thread))
    }

    async fn progress(&self, transaction: &impl ConnectionTrait) -> Result<Progress, Error> {
        let short =
            message::Column::iter().filter(|column| !matches!(column, message::Column::Content));
        self.find()
            .select_only()
            .columns(short)
            .expr_as(Expr::val(""), "content")
            .expr_as(bytes(), "bytes")
            .lock_exclusive()
            .into_model::<Progress>()
            .one(transaction)
            .await?
            .ok_or(Error::MessageNotFound)
    }

    async fn content(&self, transaction: &impl ConnectionTrait) -> Result<String, Error> {
        self.find()
            .select_only()
            .column(message::Column::Content)
            .into_tuple()
            .one(transaction)
            .await?
            .ok_or(Error::MessageNotFound)
    }

    /// A thread that is being deleted takes its messages with it in this order, too.
    async fn lock_thread(&self, transaction: &impl ConnectionTrait) -> Result<(), DbErr> {
        thread::Entity::find()
            .select_only()
            .column(thread::Column::Number)
            .filter(thread::Column::Id.eq(self.thread_id))
            .lock_exclusive()
            .into_tuple::<i64>()
            .one(transaction)
            .await?;
        Ok(())
    }
}
