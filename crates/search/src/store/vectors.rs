//! The vectors of one space.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Func, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{Embedded, PAGE, Progress, Space, Subject, VectorRow, thread, vector};

impl Space {
    /// How far each of these threads is indexed; one that is left out is not indexed at all. At most [`IDS`].
    pub(crate) async fn progress(
        &self,
        threads: &[Uuid],
    ) -> Result<HashMap<Uuid, Progress>, DbErr> {
        let rows: Vec<(Uuid, i64, i64)> = thread::Entity::find()
            .select_only()
            .column(thread::Column::ThreadId)
            .column(thread::Column::IndexedSeq)
            .column(thread::Column::Deletions)
            .filter(thread::Column::SpaceId.eq(self.id))
            .filter(thread::Column::ThreadId.is_in(threads.iter().copied()))
            .into_tuple()
            .all(self.database.read())
            .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(thread, seq, deletions)| (thread, Progress { seq, deletions }))
            .collect())
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

    /// Writes the vectors of messages in place of those they had, and how far the thread is, if it was not further already.
    /// Two processes may write the same.
    pub(crate) async fn put(
        &self,
        thread: &Subject,
        progress: Progress,
        messages: Vec<Embedded>,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let transaction = self.database.begin().await?;
        // Locks the thread's row, so that a message's old vectors and new ones of another process do not mix.
        self.advance(&transaction, thread, progress, now).await?;
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
        progress: Progress,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let row = thread::Model {
            space_id: self.id,
            thread_id: thread.id,
            thread_number: thread.number,
            indexed_seq: progress.seq,
            deletions: progress.deletions,
            checked_at: now,
        };
        let further = |column, value: i64| {
            Func::greatest([Expr::col((thread::Entity, column)), Expr::value(value)])
        };
        let (seq, deletions) = (thread::Column::IndexedSeq, thread::Column::Deletions);
        let update = OnConflict::columns([thread::Column::SpaceId, thread::Column::ThreadId])
            .update_column(thread::Column::CheckedAt)
            .value(seq, further(seq, progress.seq))
            .value(deletions, further(deletions, progress.deletions))
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
