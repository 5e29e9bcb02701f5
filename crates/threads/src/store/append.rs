//! Appending to a thread's log: the next numbers, the rows, each key and run once.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, TryInsertResult,
};
use uuid::Uuid;

use super::message::Attachments;
use super::{Threads, message, thread};
use crate::answer::State;
use crate::error::Error;
use crate::exchange::{AuthorKind, NewMessage};
use crate::thread::Kind;

/// What a key of its author's is unique in. A deleted message keeps its key and loses its fingerprint: the key is spent.
pub(super) const KEY: [message::Column; 2] =
    [message::Column::AuthorId, message::Column::ClientMsgId];
/// What an answer's run is unique in.
pub(super) const RUN: [message::Column; 1] = [message::Column::RunId];

impl Threads<'_> {
    /// Appends a message, or finds the one that an earlier call with the same key appended, also while that call is
    /// under way.
    pub(crate) async fn append_message(
        &self,
        new: &NewMessage,
        at: DateTime<Utc>,
    ) -> Result<message::Model, Error> {
        let transaction = self.database.begin().await?;
        let thread = self
            .advance(&transaction, new.thread, 1, at)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let message = message::Model {
            author_kind: new.author_kind,
            content: new.content.clone(),
            client_msg_id: new.client_msg_id.clone(),
            fingerprint: new.fingerprint().map(Into::into),
            model: new.model.clone(),
            ..self.entry(&thread, thread.last_seq, at)
        };
        if let Some(message) = insert_unless_taken(&transaction, message, KEY).await? {
            transaction.commit().await?;
            return Ok(message);
        }
        transaction.rollback().await?;
        // Not there any more: its thread was deleted in between.
        let original = self
            .by_key(new.client_msg_id.as_deref())
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let fingerprint = new.fingerprint();
        if original.fingerprint.as_deref() != fingerprint.as_ref().map(<[u8; 32]>::as_slice) {
            return Err(Error::KeyReused);
        }
        Ok(original)
    }

    /// Takes the next numbers of a thread. Its row stays locked until the transaction ends, so numbers are given in the
    /// order of commits, and a rollback gives them back.
    pub(super) async fn advance(
        &self,
        transaction: &impl ConnectionTrait,
        id: Uuid,
        messages: i64,
        at: DateTime<Utc>,
    ) -> Result<Option<thread::Model>, DbErr> {
        let advanced = thread::Entity::update_many()
            .col_expr(
                thread::Column::LastSeq,
                Expr::col(thread::Column::LastSeq).add(messages),
            )
            .col_expr(thread::Column::ActiveAt, Expr::val(at))
            .filter(thread::Column::Id.eq(id))
            .filter(thread::Column::Kind.eq(Kind::Assistant))
            .filter(Expr::exists(self.membership()))
            .exec_with_returning(transaction)
            .await?;
        Ok(advanced.into_iter().next())
    }

    /// An empty message of the user, for whoever appends one to say what it is.
    pub(super) fn entry(
        &self,
        thread: &thread::Model,
        seq: i64,
        at: DateTime<Utc>,
    ) -> message::Model {
        message::Model {
            id: 0,
            thread: thread.number,
            seq,
            author_kind: AuthorKind::Person,
            author_id: self.user,
            state: State::Complete,
            content: String::new(),
            attachments: Attachments::default(),
            client_msg_id: None,
            fingerprint: None,
            model: None,
            answers: None,
            run_id: None,
            fence: 0,
            receipt: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// The user's message with that key, also a deleted one.
    pub(super) async fn by_key(&self, key: Option<&str>) -> Result<Option<message::Model>, DbErr> {
        message::Entity::find()
            .filter(message::Column::AuthorId.eq(self.user))
            .filter(message::Column::ClientMsgId.eq(key))
            .one(self.database.read())
            .await
    }

    /// The user's answer of that run, also a deleted one.
    pub(super) async fn by_run(&self, run: Uuid) -> Result<Option<message::Model>, DbErr> {
        message::Entity::find()
            .filter(message::Column::AuthorId.eq(self.user))
            .filter(message::Column::RunId.eq(run))
            .one(self.database.read())
            .await
    }
}

/// Adds a message and returns it with its id, or `None` when these columns are taken. It waits for a transaction under
/// way that may take them.
pub(super) async fn insert_unless_taken<const N: usize>(
    transaction: &impl ConnectionTrait,
    message: message::Model,
    unique: [message::Column; N],
) -> Result<Option<message::Model>, DbErr> {
    let mut row = message.clone().into_active_model().reset_all();
    row.id = ActiveValue::NotSet;
    let mut taken = OnConflict::columns(unique);
    taken.do_nothing();
    // The indexes hold only rows that have all of it.
    for column in unique.iter().filter(|column| column.def().is_null()) {
        taken.target_and_where(Expr::col(*column).is_not_null());
    }
    let inserted = message::Entity::insert(row)
        .on_conflict(taken)
        .try_insert()
        .exec(transaction)
        .await?;
    let TryInsertResult::Inserted(inserted) = inserted else {
        return Ok(None);
    };
    Ok(Some(message::Model {
        id: inserted.last_insert_id,
        ..message
    }))
}
