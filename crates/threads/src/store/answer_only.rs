//! Appending the place of an answer to what is stored, once.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::append::{RUN, insert_unless_taken};
use super::{Exchange, Threads, message};
use crate::answer::State;
use crate::error::Error;
use crate::exchange::{AuthorKind, NewAnswer};
use crate::thread::Which;

impl Threads<'_> {
    /// Appends the place of an answer, or finds the one that an earlier call for the same run appended, also while that
    /// call is under way. It answers the newest message of a person, if there is any.
    pub(crate) async fn append_answer(
        &self,
        new: &NewAnswer,
        at: DateTime<Utc>,
    ) -> Result<Exchange, Error> {
        let transaction = self.database.begin().await?;
        let thread = self
            .advance(&transaction, new.thread, 1, at)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let answer = message::Model {
            author_kind: AuthorKind::Model,
            state: State::Streaming,
            fingerprint: Some(new.fingerprint().into()),
            model: Some(new.model.clone()),
            answers: answered(&transaction, thread.number).await?,
            run_id: Some(new.run_id),
            ..self.entry(&thread, thread.last_seq, at)
        };
        let Some(answer) = insert_unless_taken(&transaction, answer, RUN).await? else {
            transaction.rollback().await?;
            return self.original_answer(new).await;
        };
        transaction.commit().await?;
        Ok(Exchange {
            thread,
            question: None,
            answer,
            replayed: false,
        })
    }

    /// The answer that this run was given, if the call repeats it.
    async fn original_answer(&self, new: &NewAnswer) -> Result<Exchange, Error> {
        let answer = self
            .by_run(new.run_id)
            .await?
            .ok_or(Error::Invalid("run_id cannot be used"))?;
        if answer.fingerprint.as_deref() != Some(&new.fingerprint()) {
            return Err(Error::KeyReused);
        }
        Ok(Exchange {
            thread: self.get(Which::Number(answer.thread)).await?,
            question: None,
            answer,
            replayed: true,
        })
    }
}

/// The message to be answered. `None`: no person has said anything.
async fn answered(transaction: &impl ConnectionTrait, thread: i64) -> Result<Option<i64>, Error> {
    let of_people = there(thread).filter(message::Column::AuthorKind.eq(AuthorKind::Person));
    let newest: Option<i64> = of_people.into_tuple().one(transaction).await?;
    if newest.is_some() {
        return Ok(newest);
    }
    let of_anybody: Option<i64> = there(thread).into_tuple().one(transaction).await?;
    match of_anybody {
        Some(_) => Ok(None),
        None => Err(Error::Invalid("there is nothing to answer")),
    }
}

/// The ids of a thread's messages, the newest first.
fn there(thread: i64) -> Select<message::Entity> {
    message::Entity::find()
        .select_only()
        .column(message::Column::Id)
        .filter(message::Column::Thread.eq(thread))
        .filter(message::Column::State.ne(State::Deleted))
        .order_by_desc(message::Column::Seq)
}
