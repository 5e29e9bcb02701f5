//! Appending a question and the place of its answer, once.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::append::{KEY, RUN, insert_unless_taken};
use super::message::Attachments;
use super::{Threads, message, thread};
use crate::answer::State;
use crate::error::Error;
use crate::exchange::{AuthorKind, Destination, NewExchange};
use crate::thread::Which;

/// A question and its answer, or the answer alone, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) thread: thread::Model,
    pub(crate) question: Option<message::Model>,
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
                .by_key(new.client_msg_id.as_deref())
                .await?
                .ok_or(Error::ThreadNotFound)?,
            Err(Taken::Run) => self.question_by_run(new.run_id).await?,
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
            .advance(&transaction, new.destination.id(), 2, at)
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
            question: Some(question),
            answer,
            replayed: false,
        }))
    }

    pub(super) fn question(
        &self,
        thread: &thread::Model,
        new: &NewExchange,
        at: DateTime<Utc>,
    ) -> message::Model {
        message::Model {
            content: new.question.clone(),
            attachments: Attachments(new.attachments.clone()),
            client_msg_id: new.client_msg_id.clone(),
            fingerprint: Some(new.fingerprint().into()),
            ..self.entry(thread, thread.last_seq - 1, at)
        }
    }

    pub(super) fn answer(
        &self,
        thread: &thread::Model,
        question: &message::Model,
        new: &NewExchange,
        at: DateTime<Utc>,
    ) -> message::Model {
        message::Model {
            author_kind: AuthorKind::Model,
            state: State::Streaming,
            model: Some(new.model.clone()),
            answers: Some(question.id),
            run_id: Some(new.run_id),
            ..self.entry(thread, thread.last_seq, at)
        }
    }

    /// The question that this run was to answer. An answer with a fingerprint of its own came without one.
    async fn question_by_run(&self, run: Uuid) -> Result<message::Model, Error> {
        let answer = self
            .by_run(run)
            .await?
            .ok_or(Error::Invalid("run_id cannot be used"))?;
        if answer.fingerprint.is_some() || answer.state == State::Deleted {
            return Err(Error::KeyReused);
        }
        message::Entity::find_by_id(answer.answers.unwrap_or_default())
            .one(self.database.read())
            .await?
            .ok_or(Error::ThreadNotFound)
    }

    /// The exchange that this question began, if the call repeats it. One of which a message was deleted cannot be
    /// repeated: a deleted question has lost its fingerprint.
    async fn original(
        &self,
        question: message::Model,
        new: &NewExchange,
    ) -> Result<Exchange, Error> {
        if question.fingerprint.as_deref() != Some(&new.fingerprint()) {
            return Err(Error::KeyReused);
        }
        let thread = self.get(Which::Number(question.thread)).await?;
        let answer = message::Entity::find()
            .filter(message::Column::Thread.eq(question.thread))
            .filter(message::Column::Seq.eq(question.seq + 1))
            .one(self.database.read())
            .await?
            .ok_or(Error::ThreadNotFound)?;
        if answer.state == State::Deleted {
            return Err(Error::KeyReused);
        }
        Ok(Exchange {
            thread,
            question: Some(question),
            answer,
            replayed: true,
        })
    }
}
