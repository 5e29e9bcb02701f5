//! Appending a question and the place of its answer, once.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, TryInsertResult,
};
use uuid::Uuid;

use super::message::Attachments;
use super::{AuthorKind, Threads, message, thread};
use crate::answer::State;
use crate::error::Error;
use crate::exchange::{Destination, NewExchange};
use crate::thread::Kind;

/// What a key of its author's is unique in.
const KEY: [message::Column; 2] = [message::Column::AuthorId, message::Column::ClientMsgId];
/// What an answer's run is unique in.
const RUN: [message::Column; 1] = [message::Column::RunId];

/// A question and its answer, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) thread: thread::Model,
    pub(crate) question: message::Model,
    pub(crate) answer: message::Model,
    /// It was there before the call.
    pub(crate) replayed: bool,
}

/// What was there already, so that nothing was written.
enum Taken {
    /// The user has a message with this `client_msg_id`.
    Key,
    /// The run has its answer.
    Run,
}

impl Threads<'_> {
    /// Appends an exchange, or finds the one that an earlier call with the same key or run appended, also while that
    /// call is under way.
    pub(crate) async fn append(
        &self,
        new: &NewExchange,
        at: DateTime<Utc>,
    ) -> Result<Exchange, Error> {
        let question = match self.write(new, at).await? {
            Ok(exchange) => return Ok(exchange),
            // Not there any more: its thread was deleted in between.
            Err(Taken::Key) => self
                .question_by_key(new)
                .await?
                .ok_or(Error::ThreadNotFound)?,
            Err(Taken::Run) => self
                .question_by_run(new)
                .await?
                .ok_or(Error::Invalid("run_id cannot be used"))?,
        };
        self.original(question, new).await
    }

    async fn write(
        &self,
        new: &NewExchange,
        at: DateTime<Utc>,
    ) -> Result<Result<Exchange, Taken>, Error> {
        let transaction = self.database.begin().await?;
        if let Destination::New(thread) = &new.destination {
            self.insert(&transaction, thread, at).await?;
        }
        let thread = self
            .advance(&transaction, new.destination.id(), at)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let question = self.question(&thread, new, at);
        let Some(question) = insert_unless_taken(&transaction, question, KEY).await? else {
            transaction.rollback().await?;
            return Ok(Err(Taken::Key));
        };
        let answer = self.answer(&thread, &question, new, at);
        let Some(answer) = insert_unless_taken(&transaction, answer, RUN).await? else {
            transaction.rollback().await?;
            return Ok(Err(Taken::Run));
        };
        transaction.commit().await?;
        Ok(Ok(Exchange {
            thread,
            question,
            answer,
            replayed: false,
        }))
    }

    /// Takes the next two numbers of a thread. Its row stays locked until the transaction ends, so numbers are given in
    /// the order of commits, and a rollback gives them back.
    async fn advance(
        &self,
        transaction: &impl ConnectionTrait,
        id: Uuid,
        at: DateTime<Utc>,
    ) -> Result<Option<thread::Model>, DbErr> {
        let advanced = thread::Entity::update_many()
            .col_expr(
                thread::Column::LastSeq,
                Expr::col(thread::Column::LastSeq).add(2),
            )
            .col_expr(thread::Column::ActiveAt, Expr::val(at))
            .filter(thread::Column::Id.eq(id))
            .filter(thread::Column::Kind.eq(Kind::Assistant))
            .filter(Expr::exists(self.membership()))
            .exec_with_returning(transaction)
            .await?;
        Ok(advanced.into_iter().next())
    }

    fn question(
        &self,
        thread: &thread::Model,
        new: &NewExchange,
        at: DateTime<Utc>,
    ) -> message::Model {
        message::Model {
            id: 0,
            thread: thread.number,
            seq: thread.last_seq - 1,
            author_kind: AuthorKind::Person,
            author_id: self.user,
            state: State::Complete,
            content: new.question.clone(),
            attachments: Attachments(new.attachments.clone()),
            client_msg_id: new.client_msg_id.clone(),
            fingerprint: Some(new.fingerprint().to_vec()),
            model: None,
            answers: None,
            run_id: None,
            fence: 0,
            created_at: at,
            updated_at: at,
        }
    }

    fn answer(
        &self,
        thread: &thread::Model,
        question: &message::Model,
        new: &NewExchange,
        at: DateTime<Utc>,
    ) -> message::Model {
        message::Model {
            id: 0,
            thread: thread.number,
            seq: thread.last_seq,
            author_kind: AuthorKind::Model,
            author_id: self.user,
            state: State::Streaming,
            content: String::new(),
            attachments: Attachments::default(),
            client_msg_id: None,
            fingerprint: None,
            model: Some(new.model.clone()),
            answers: Some(question.id),
            run_id: Some(new.run_id),
            fence: 0,
            created_at: at,
            updated_at: at,
        }
    }

    async fn question_by_key(&self, new: &NewExchange) -> Result<Option<message::Model>, DbErr> {
        message::Entity::find()
            .filter(message::Column::AuthorId.eq(self.user))
            .filter(message::Column::ClientMsgId.eq(new.client_msg_id.as_deref()))
            .one(self.database.read())
            .await
    }

    async fn question_by_run(&self, new: &NewExchange) -> Result<Option<message::Model>, DbErr> {
        let answer = message::Entity::find()
            .filter(message::Column::AuthorId.eq(self.user))
            .filter(message::Column::RunId.eq(new.run_id))
            .one(self.database.read())
            .await?;
        let Some(question) = answer.and_then(|answer| answer.answers) else {
            return Ok(None);
        };
        message::Entity::find_by_id(question)
            .one(self.database.read())
            .await
    }

    /// The exchange that this question began, if the call repeats it.
    async fn original(
        &self,
        question: message::Model,
        new: &NewExchange,
    ) -> Result<Exchange, Error> {
        if question.fingerprint.as_deref() != Some(&new.fingerprint()) {
            return Err(Error::KeyReused);
        }
        let thread = self
            .visible()
            .filter(thread::Column::Number.eq(question.thread))
            .one(self.database.read())
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let answer = message::Entity::find()
            .filter(message::Column::Thread.eq(question.thread))
            .filter(message::Column::Seq.eq(question.seq + 1))
            .one(self.database.read())
            .await?
            .ok_or(Error::ThreadNotFound)?;
        Ok(Exchange {
            thread,
            question,
            answer,
            replayed: true,
        })
    }
}

/// Adds a message and returns it with its id, or `None` when these columns are taken. It waits for a transaction under
/// way that may take them.
async fn insert_unless_taken<const N: usize>(
    transaction: &impl ConnectionTrait,
    message: message::Model,
    unique: [message::Column; N],
) -> Result<Option<message::Model>, DbErr> {
    let mut row = message.clone().into_active_model().reset_all();
    row.id = ActiveValue::NotSet;
    let inserted = message::Entity::insert(row)
        .on_conflict_do_nothing_on(unique)
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
