//! Exchanges with models and the ends of answers, of many threads in one transaction.
//!
//! Only what is plain goes this way: a question for a thread that is there, and the end of an answer that is being written
//! by who ends it. Everything else is left to be done alone, and so is all of it when a row is at fault: a key that was
//! used before, say.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use confab_database::{Database, Sql};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue, ConnectionTrait, DatabaseTransaction, DbBackend,
    DbErr, FromQueryResult, IdenStatic, IntoActiveModel, Iterable, Value,
};
use uuid::Uuid;

use super::{Exchange, Threads, message, thread};
use crate::answer::{Ending, State};
use crate::exchange::{Destination, NewExchange};
use crate::thread::Kind;

#[cfg(test)]
mod tests;

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Step {
    /// A question of the user and the place of its answer.
    Append(Uuid, NewExchange),
    /// The end of an answer.
    End(AnswerEnd),
}

/// An answer, and how it ends.
#[derive(Debug)]
pub(crate) struct AnswerEnd {
    pub(crate) thread_id: Uuid,
    pub(crate) message_id: i64,
    pub(crate) run_id: Uuid,
    pub(crate) fence: i64,
    pub(crate) ending: Ending,
}

/// What was written.
#[derive(Debug)]
pub(crate) enum Written {
    Appended(Box<Exchange>),
    Ended(Box<message::Model>),
}

/// Takes these steps. `None`: not this one, it is to be taken alone.
pub(crate) async fn take_together(
    database: &Database,
    steps: &[Step],
    at: DateTime<Utc>,
) -> Result<Vec<Option<Written>>, DbErr> {
    let transaction = database.begin().await?;
    let batch = Batch {
        database,
        transaction: &transaction,
        steps,
        at,
    };
    let written = batch.write().await?;
    transaction.commit().await?;
    Ok(written)
}

struct Batch<'a> {
    database: &'a Database,
    transaction: &'a DatabaseTransaction,
    steps: &'a [Step],
    at: DateTime<Utc>,
}

/// What is wanted of a thread: numbers for this user's exchange, if any, and that nobody else changes it.
#[derive(Debug, Default, Clone, Copy)]
struct Wish {
    asks: Option<(usize, Uuid)>,
}

impl Batch<'_> {
    async fn write(&self) -> Result<Vec<Option<Written>>, DbErr> {
        let mut written: Vec<Option<Written>> = Vec::new();
        written.resize_with(self.steps.len(), || None);
        let wishes = self.wishes();
        let threads = self.advance(&wishes).await?;
        let asked = wishes.iter().filter_map(|(id, wish)| {
            let (position, user) = wish.asks?;
            match &self.steps[position] {
                Step::Append(_, new) => Some((position, user, new, threads.get(id)?)),
                Step::End(_) => None,
            }
        });
        let mut asked: Vec<_> = asked.collect();
        asked.sort_unstable_by_key(|(position, ..)| *position);
        let questions = asked.iter().map(|(_, user, new, thread)| {
            Threads::of(self.database, *user).question(thread, new, self.at)
        });
        let questions = self.insert(questions.collect()).await?;
        let answers = asked
            .iter()
            .zip(&questions)
            .map(|((_, user, new, thread), question)| {
                Threads::of(self.database, *user).answer(thread, question, new, self.at)
            });
        let answers = self.insert(answers.collect()).await?;
        let exchanges = asked.iter().zip(questions).zip(answers);
        for (((position, _, _, thread), question), answer) in exchanges {
            written[*position] = Some(Written::Appended(Box::new(Exchange {
                thread: (*thread).clone(),
                question: Some(question),
                answer,
                replayed: false,
            })));
        }
        self.end(&threads, &mut written).await?;
        Ok(written)
    }

    /// What the steps are about; of two questions in one thread the second is left.
    fn wishes(&self) -> HashMap<Uuid, Wish> {
        let mut wishes: HashMap<Uuid, Wish> = HashMap::new();
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Append(user, new) => {
                    if let Destination::Existing(id) = new.destination {
                        let wish = wishes.entry(id).or_default();
                        wish.asks.get_or_insert((position, *user));
                    }
                }
                Step::End(end) => {
                    wishes.entry(end.thread_id).or_default();
                }
            }
        }
        wishes
    }

    /// Locks the threads in the order of their numbers and takes the next numbers of those that are asked in by a member.
    async fn advance(
        &self,
        wishes: &HashMap<Uuid, Wish>,
    ) -> Result<HashMap<Uuid, thread::Model>, DbErr> {
        if wishes.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = wishes.iter().map(|(id, wish)| {
            let messages: i64 = if wish.asks.is_some() { 2 } else { 0 };
            let user = wish.asks.map_or(Uuid::nil(), |(_, user)| user);
            [(*id).into(), user.into(), messages.into()]
        });
        let wanted = Sql::new("WITH wanted (wanted_id, wanted_user, messages) AS (").rows(rows);
        let (locks, locked) = match self.transaction.get_database_backend() {
            DbBackend::Postgres => (
                "), locked AS MATERIALIZED (SELECT number AS locked_number FROM thread \
                 JOIN wanted ON id = wanted_id ORDER BY number FOR UPDATE OF thread)",
                ", locked WHERE id = wanted_id AND number = locked_number",
            ),
            _ => (")", " WHERE id = wanted_id"),
        };
        let columns: Vec<_> = thread::Column::iter()
            .map(|column| column.as_str())
            .collect();
        let statement = wanted
            .text(locks)
            .text(" UPDATE thread SET last_seq = last_seq + messages, active_at = ")
            .value(self.at)
            .text(" FROM wanted")
            .text(locked)
            .text(" AND kind = ")
            .value(Kind::Assistant.to_value())
            .text(
                " AND (messages = 0 OR EXISTS (SELECT 1 FROM member \
                 WHERE member.thread = thread.number AND member.user_id = wanted_user)) RETURNING ",
            )
            .text(&columns.join(", "));
        let threads = self.all(statement).await?;
        let threads = threads
            .iter()
            .map(|row| thread::Model::from_query_result(row, ""));
        threads
            .map(|thread| thread.map(|thread| (thread.id, thread)))
            .collect()
    }

    /// Inserts these messages and gives them their ids.
    async fn insert(&self, mut rows: Vec<message::Model>) -> Result<Vec<message::Model>, DbErr> {
        let models = rows.iter().map(|row| {
            let mut model = row.clone().into_active_model().reset_all();
            model.id = ActiveValue::NotSet;
            model
        });
        let Some(insert) = Sql::insert(models) else {
            return Ok(rows);
        };
        let mut ids = HashMap::with_capacity(rows.len());
        for row in self.all(insert.text(" RETURNING thread, seq, id")).await? {
            let place: (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            ids.insert(place, row.try_get_by_index(2)?);
        }
        for row in &mut rows {
            row.id = *ids
                .get(&(row.thread, row.seq))
                .ok_or(DbErr::RecordNotInserted)?;
        }
        Ok(rows)
    }

    /// Ends the answers that are being written by who ends them.
    async fn end(
        &self,
        threads: &HashMap<Uuid, thread::Model>,
        written: &mut [Option<Written>],
    ) -> Result<(), DbErr> {
        let mut positions: HashMap<i64, usize> = HashMap::new();
        let mut rows: Vec<[Value; 8]> = Vec::new();
        for (position, step) in self.steps.iter().enumerate() {
            if let Step::End(end) = step
                && let Some(thread) = threads.get(&end.thread_id)
                && !positions.contains_key(&end.message_id)
            {
                positions.insert(end.message_id, position);
                rows.push([
                    end.message_id.into(),
                    end.run_id.into(),
                    thread.number.into(),
                    end.fence.into(),
                    end.ending.state.to_value().into(),
                    end.ending.content.clone().into(),
                    end.ending.model.clone().into(),
                    end.ending.receipt.clone().into(),
                ]);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let columns: Vec<_> = message::Column::iter()
            .map(|column| column.as_str())
            .collect();
        let statement = Sql::new(
            "WITH wanted (wanted_id, wanted_run, wanted_thread, wanted_fence, new_state, \
             new_content, new_model, new_receipt) AS (",
        )
        .rows(rows)
        .text(
            ") UPDATE message SET state = new_state, fence = wanted_fence, receipt = new_receipt, \
             content = COALESCE(new_content, content), model = COALESCE(new_model, model), \
             updated_at = ",
        )
        .value(self.at)
        .text(
            " FROM wanted WHERE id = wanted_id AND run_id = wanted_run AND thread = wanted_thread \
             AND fence <= wanted_fence AND state = ",
        )
        .value(State::Streaming.to_value())
        .text(" RETURNING ")
        .text(&columns.join(", "));
        for row in self.all(statement).await? {
            let message = message::Model::from_query_result(&row, "")?;
            if let Some(position) = positions.get(&message.id) {
                written[*position] = Some(Written::Ended(Box::new(message)));
            }
        }
        Ok(())
    }

    async fn all(&self, sql: Sql) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
        let backend = self.transaction.get_database_backend();
        self.transaction.query_all_raw(sql.statement(backend)).await
    }
}
