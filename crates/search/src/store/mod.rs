//! The index: one method per question. What is indexed when is decided in [`crate::index`].
//!
//! All of it can be removed and made anew. Whoever may read a message is not kept here: threads are asked.

mod space;
mod thread;
mod vector;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, Func, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

pub(crate) use space::Model as SpaceRow;
pub(crate) use vector::Model as VectorRow;

/// Ids in one statement, at most.
pub(crate) const IDS: usize = 500;

/// Vectors that one page of a scan holds, at most.
pub(crate) const PAGE: usize = 500;

/// A thread and where its log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) id: Uuid,
    pub(crate) number: i64,
    pub(crate) last_seq: i64,
}

/// Vectors of one message's text, to be written; none of a text that no vector can be made of.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) message_id: i64,
    pub(crate) seq: i64,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) chunks: Vec<Vec<u8>>,
}

/// A thread that is to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unchecked {
    pub(crate) id: Uuid,
    pub(crate) number: i64,
}

/// All spaces, and what is the same in each.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
}

/// One space: vectors that can be compared with each other.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    database: Database,
    id: i64,
    pub(crate) model: String,
    pub(crate) dimensions: usize,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The space of a model's vectors of a length, made when it is first asked for.
    pub(crate) async fn space(&self, model: &str, dimensions: usize) -> Result<Space, DbErr> {
        let length = i32::try_from(dimensions).unwrap_or(i32::MAX);
        let found = space::Entity::find()
            .filter(space::Column::Model.eq(model))
            .filter(space::Column::Dimensions.eq(length))
            .one(self.database.read())
            .await?;
        let id = match found {
            Some(row) => row.id,
            None => self.make_space(model, length).await?,
        };
        Ok(Space {
            database: self.database.clone(),
            id,
            model: model.to_owned(),
            dimensions,
        })
    }

    /// The update changes nothing: it gives the row that another process has just made.
    async fn make_space(&self, model: &str, dimensions: i32) -> Result<i64, DbErr> {
        let row = space::ActiveModel {
            id: NotSet,
            model: Set(model.to_owned()),
            dimensions: Set(dimensions),
        };
        let found = OnConflict::columns([space::Column::Model, space::Column::Dimensions])
            .update_column(space::Column::Model)
            .to_owned();
        let row = space::Entity::insert(row)
            .on_conflict(found)
            .exec_with_returning(self.database.write())
            .await?;
        Ok(row.id)
    }

    /// The spaces of models that are none of these.
    pub(crate) async fn spaces_besides(&self, models: &[&str]) -> Result<Vec<SpaceRow>, DbErr> {
        space::Entity::find()
            .filter(space::Column::Model.is_not_in(models.iter().copied()))
            .all(self.database.read())
            .await
    }

    /// Removes some threads of a space, and the space when none is left; says whether it is gone.
    pub(crate) async fn remove_some(&self, space: &SpaceRow, limit: u64) -> Result<bool, DbErr> {
        let ids: Vec<Uuid> = thread::Entity::find()
            .select_only()
            .column(thread::Column::ThreadId)
            .filter(thread::Column::SpaceId.eq(space.id))
            .limit(limit)
            .into_tuple()
            .all(self.database.read())
            .await?;
        if ids.is_empty() {
            space::Entity::delete_by_id(space.id)
                .exec(self.database.write())
                .await?;
            return Ok(true);
        }
        thread::Entity::delete_many()
            .filter(thread::Column::SpaceId.eq(space.id))
            .filter(thread::Column::ThreadId.is_in(ids))
            .exec(self.database.write())
            .await?;
        Ok(false)
    }

    /// Threads that nobody has looked for since then, the longest unseen first.
    pub(crate) async fn unchecked(
        &self,
        since: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<Unchecked>, DbErr> {
        let rows: Vec<(Uuid, i64)> = thread::Entity::find()
            .select_only()
            .column(thread::Column::ThreadId)
            .column(thread::Column::ThreadNumber)
            .filter(thread::Column::CheckedAt.lt(since))
            .order_by_asc(thread::Column::CheckedAt)
            .limit(limit)
            .into_tuple()
            .all(self.database.read())
            .await?;
        let rows = rows.into_iter();
        Ok(rows.map(|(id, number)| Unchecked { id, number }).collect())
    }

    /// The thread is there.
    pub(crate) async fn checked(&self, thread: Uuid, now: DateTime<Utc>) -> Result<(), DbErr> {
        thread::Entity::update_many()
            .col_expr(thread::Column::CheckedAt, Expr::value(now))
            .filter(thread::Column::ThreadId.eq(thread))
            .exec(self.database.write())
            .await?;
        Ok(())
    }

    /// Removes a thread from every space.
    pub(crate) async fn remove_thread(&self, thread: Uuid) -> Result<(), DbErr> {
        thread::Entity::delete_many()
            .filter(thread::Column::ThreadId.eq(thread))
            .exec(self.database.write())
            .await?;
        Ok(())
    }
}

impl Space {
    /// How far each of these threads is indexed; one that is left out is not indexed at all. At most [`IDS`].
    pub(crate) async fn progress(&self, threads: &[Uuid]) -> Result<HashMap<Uuid, i64>, DbErr> {
        let rows: Vec<(Uuid, i64)> = thread::Entity::find()
            .select_only()
            .column(thread::Column::ThreadId)
            .column(thread::Column::IndexedSeq)
            .filter(thread::Column::SpaceId.eq(self.id))
            .filter(thread::Column::ThreadId.is_in(threads.iter().copied()))
            .into_tuple()
            .all(self.database.read())
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// Which messages of a stretch of a thread have vectors.
    pub(crate) async fn present(
        &self,
        thread: Uuid,
        from_seq: i64,
        to_seq: i64,
    ) -> Result<HashSet<i64>, DbErr> {
        let seqs: Vec<i64> = vector::Entity::find()
            .select_only()
            .column(vector::Column::Seq)
            .filter(vector::Column::SpaceId.eq(self.id))
            .filter(vector::Column::ThreadId.eq(thread))
            .filter(vector::Column::Seq.between(from_seq, to_seq))
            .filter(vector::Column::Chunk.eq(0))
            .into_tuple()
            .all(self.database.read())
            .await?;
        Ok(seqs.into_iter().collect())
    }

    /// Writes the vectors of messages in place of those they had, and that the thread is indexed up to `indexed_seq`, if
    /// it was not further already. Two processes may write the same.
    pub(crate) async fn put(
        &self,
        thread: &Subject,
        indexed_seq: i64,
        messages: Vec<Embedded>,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let transaction = self.database.begin().await?;
        // Locks the thread's row, so that a message's old vectors and new ones of another process do not mix.
        self.advance(&transaction, thread, indexed_seq, now).await?;
        if !messages.is_empty() {
            let seqs = messages.iter().map(|message| message.seq);
            vector::Entity::delete_many()
                .filter(vector::Column::SpaceId.eq(self.id))
                .filter(vector::Column::ThreadId.eq(thread.id))
                .filter(vector::Column::Seq.is_in(seqs))
                .exec(&transaction)
                .await?;
        }
        let rows = messages.into_iter().flat_map(|message| {
            let head = (message.seq, message.message_id, message.updated_at);
            let chunks = (0_i16..).zip(message.chunks);
            chunks.map(move |(chunk, vector)| self.row(thread.id, head, chunk, vector))
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            vector::Entity::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
                .exec_without_returning(&transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Removes messages of a thread.
    pub(crate) async fn remove(&self, thread: Uuid, seqs: &[i64]) -> Result<(), DbErr> {
        vector::Entity::delete_many()
            .filter(vector::Column::ThreadId.eq(thread))
            .filter(vector::Column::SpaceId.eq(self.id))
            .filter(vector::Column::Seq.is_in(seqs.iter().copied()))
            .exec(self.database.write())
            .await?;
        Ok(())
    }

    async fn advance(
        &self,
        transaction: &impl ConnectionTrait,
        thread: &Subject,
        indexed_seq: i64,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let row = thread::Model {
            space_id: self.id,
            thread_id: thread.id,
            thread_number: thread.number,
            indexed_seq,
            checked_at: now,
        };
        let column = (thread::Entity, thread::Column::IndexedSeq);
        let further = Func::greatest([Expr::col(column), Expr::value(indexed_seq)]);
        let update = OnConflict::columns([thread::Column::SpaceId, thread::Column::ThreadId])
            .update_column(thread::Column::CheckedAt)
            .value(thread::Column::IndexedSeq, further)
            .to_owned();
        thread::Entity::insert(row.into_active_model())
            .on_conflict(update)
            .exec_without_returning(transaction)
            .await?;
        Ok(())
    }

    fn row(
        &self,
        thread_id: Uuid,
        (seq, message_id, updated_at): (i64, i64, DateTime<Utc>),
        chunk: i16,
        vector: Vec<u8>,
    ) -> VectorRow {
        VectorRow {
            space_id: self.id,
            thread_id,
            seq,
            chunk,
            message_id,
            updated_at,
            vector,
        }
    }

    /// The vectors of these threads after a row, ordered by thread, message and piece: a page of them, empty at the end.
    /// The ids are in ascending order, at most [`IDS`], and none is before the row's.
    pub(crate) async fn page(
        &self,
        threads: &[Uuid],
        after: Option<&VectorRow>,
    ) -> Result<Vec<VectorRow>, DbErr> {
        let mut query = vector::Entity::find()
            .filter(vector::Column::SpaceId.eq(self.id))
            .filter(vector::Column::ThreadId.is_in(threads.iter().copied()));
        if let Some(row) = after {
            let same_message = Condition::all()
                .add(vector::Column::Seq.eq(row.seq))
                .add(vector::Column::Chunk.gt(row.chunk));
            let behind = Condition::any()
                .add(vector::Column::ThreadId.ne(row.thread_id))
                .add(vector::Column::Seq.gt(row.seq))
                .add(same_message);
            query = query.filter(behind);
        }
        query
            .order_by_asc(vector::Column::ThreadId)
            .order_by_asc(vector::Column::Seq)
            .order_by_asc(vector::Column::Chunk)
            .limit(PAGE as u64)
            .all(self.database.read())
            .await
    }
}
