//! The threads service's tables: one method per question, every transaction from its beginning to its end.
//!
//! A person reaches rows of threads with a model through [`Threads::of`] only, which sees those that person is a member of
//! and no other. Threads between people are in [`people`].
//! The writer of an answer reaches that one message through [`Answer::of`]. On PostgreSQL a transaction locks the
//! thread's row before any of its messages.

mod answer;
mod answer_only;
mod append;
mod entries;
mod exchange;
mod locate;
mod log;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod people;
pub(crate) mod steps;
pub(crate) mod thread;

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel, Iterable, QueryFilter, QueryOrder, QuerySelect, Select, TryInsertResult,
};
use uuid::Uuid;

use crate::error::Error;
use crate::thread::{Kind, NewSummary, NewThread, Which};

pub(crate) use answer::Answer;
pub(crate) use entries::Found;
pub(crate) use exchange::Exchange;
pub(crate) use locate::{Owned, locate_message, locate_thread};

/// The threads that one user is a member of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Threads<'a> {
    database: &'a Database,
    user: Uuid,
}

impl<'a> Threads<'a> {
    pub(crate) fn of(database: &'a Database, user: Uuid) -> Self {
        Self { database, user }
    }

    /// Makes a thread, or finds the one of that id.
    pub(crate) async fn create(
        &self,
        new: &NewThread,
        at: DateTime<Utc>,
    ) -> Result<thread::Model, Error> {
        let transaction = self.database.begin().await?;
        self.insert(&transaction, new, at).await?;
        let thread = self
            .visible()
            .filter(thread::Column::Id.eq(new.id))
            .one(&transaction)
            .await?
            .ok_or(Error::Invalid("id cannot be used"))?;
        transaction.commit().await?;
        Ok(thread)
    }

    pub(crate) async fn get(&self, which: Which) -> Result<thread::Model, Error> {
        let which = match which {
            Which::Id(id) => thread::Column::Id.eq(id),
            Which::Number(number) => thread::Column::Number.eq(number),
        };
        self.visible()
            .filter(which)
            .one(self.database.read())
            .await?
            .ok_or(Error::ThreadNotFound)
    }

    /// The threads of one kind, the last active first, without what may be long: instructions and summary.
    pub(crate) async fn list(
        &self,
        kind: Kind,
        limit: u32,
        before: Option<Uuid>,
    ) -> Result<Vec<thread::Model>, Error> {
        let mut query = without_texts(self.visible())
            .filter(thread::Column::Kind.eq(kind))
            .order_by_desc(thread::Column::ActiveAt)
            .order_by_desc(thread::Column::Number)
            .limit(u64::from(limit));
        if let Some(before) = before {
            query = query.filter(listed_after(&self.get(Which::Id(before)).await?));
        }
        Ok(query.all(self.database.read()).await?)
    }

    /// Changes what is given of a thread. A member who does not own it is told that it is not there.
    pub(crate) async fn update(
        &self,
        id: Uuid,
        title: Option<String>,
    ) -> Result<thread::Model, Error> {
        let owned = Condition::all()
            .add(thread::Column::Id.eq(id))
            .add(thread::Column::OwnerId.eq(self.user))
            .add(thread::Column::Kind.eq(Kind::Assistant));
        let Some(title) = title else {
            let thread = thread::Entity::find().filter(owned);
            let thread = thread.one(self.database.read()).await?;
            return thread.ok_or(Error::ThreadNotFound);
        };
        let updated = thread::Entity::update_many()
            .col_expr(thread::Column::Title, Expr::val(title))
            .filter(owned)
            .exec_with_returning(self.database.write())
            .await?;
        updated.into_iter().next().ok_or(Error::ThreadNotFound)
    }

    /// Removes a thread with everything in it. A member who does not own it is told that it is not there.
    pub(crate) async fn delete(&self, id: Uuid) -> Result<(), Error> {
        let deleted = thread::Entity::delete_many()
            .filter(thread::Column::Id.eq(id))
            .filter(thread::Column::OwnerId.eq(self.user))
            .filter(thread::Column::Kind.eq(Kind::Assistant))
            .exec(self.database.write())
            .await?;
        if deleted.rows_affected == 0 {
            return Err(Error::ThreadNotFound);
        }
        Ok(())
    }

    /// Replaces the summary that its writer knew, unless a message was deleted since.
    pub(crate) async fn replace_summary(
        &self,
        id: Uuid,
        new: NewSummary,
    ) -> Result<thread::Model, Error> {
        let known = self.get(Which::Id(id)).await?;
        if new.seq < new.expected_seq || new.seq > known.last_seq {
            return Err(Error::Invalid(
                "summary_seq must be between expected_seq and the last message",
            ));
        }
        let replaced = thread::Entity::update_many()
            .col_expr(thread::Column::Summary, Expr::val(new.text))
            .col_expr(thread::Column::SummarySeq, Expr::val(new.seq))
            .filter(thread::Column::Number.eq(known.number))
            .filter(thread::Column::SummarySeq.eq(new.expected_seq))
            .filter(thread::Column::Deletions.eq(new.expected_deletions))
            .exec_with_returning(self.database.write())
            .await?;
        replaced.into_iter().next().ok_or(Error::StaleWrite)
    }

    fn visible(&self) -> Select<thread::Entity> {
        thread::Entity::find()
            .inner_join(member::Entity)
            .filter(member::Column::UserId.eq(self.user))
            .filter(thread::Column::Kind.eq(Kind::Assistant))
    }

    /// The user's membership of the thread that the statement around it is about.
    fn membership(&self) -> SelectStatement {
        Query::select()
            .expr(Expr::val(1))
            .from(member::Entity)
            .and_where(member::Column::UserId.eq(self.user))
            .and_where(
                Expr::col((member::Entity, member::Column::Thread))
                    .equals((thread::Entity, thread::Column::Number)),
            )
            .to_owned()
    }

    /// Adds a thread with the user as its owner and only member; leaves everything as it is when the id is taken.
    async fn insert(
        &self,
        transaction: &impl ConnectionTrait,
        new: &NewThread,
        at: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let row = thread::ActiveModel {
            number: ActiveValue::NotSet,
            id: ActiveValue::Set(new.id),
            kind: ActiveValue::Set(new.kind),
            owner_id: ActiveValue::Set(self.user),
            title: ActiveValue::Set(new.title.clone()),
            instructions: ActiveValue::Set(new.instructions.clone()),
            model_id: ActiveValue::Set(new.model_id),
            last_seq: ActiveValue::Set(0),
            summary: ActiveValue::Set(String::new()),
            summary_seq: ActiveValue::Set(0),
            created_at: ActiveValue::Set(at),
            active_at: ActiveValue::Set(at),
            deletions: ActiveValue::Set(0),
        };
        let inserted = thread::Entity::insert(row)
            .on_conflict_do_nothing_on([thread::Column::Id])
            .exec(transaction)
            .await?;
        let TryInsertResult::Inserted(inserted) = inserted else {
            return Ok(());
        };
        let founder = member::Model {
            thread: inserted.last_insert_id,
            user_id: self.user,
            joined_seq: 0,
            read_seq: 0,
            joined_at: None,
        };
        member::Entity::insert(founder.into_active_model().reset_all())
            .exec_without_returning(transaction)
            .await?;
        Ok(())
    }
}

/// The threads behind this one in the order of a list.
fn listed_after(thread: &thread::Model) -> Condition {
    Condition::any()
        .add(thread::Column::ActiveAt.lt(thread.active_at))
        .add(
            Condition::all()
                .add(thread::Column::ActiveAt.eq(thread.active_at))
                .add(thread::Column::Number.lt(thread.number)),
        )
}

fn without_texts(query: Select<thread::Entity>) -> Select<thread::Entity> {
    let short = thread::Column::iter().filter(|column| {
        !matches!(
            column,
            thread::Column::Instructions | thread::Column::Summary
        )
    });
    query
        .select_only()
        .columns(short)
        .expr_as(Expr::val(""), "instructions")
        .expr_as(Expr::val(""), "summary")
}
