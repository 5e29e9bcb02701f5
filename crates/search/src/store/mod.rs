//! The index: one method per question. What is indexed when is decided in [`crate::index`].
//!
//! All of it can be removed and made anew. Whoever may read a message is not kept here: threads are asked.

mod space;
mod thread;
mod vector;
mod vectors;

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
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
    /// How many of its messages were deleted.
    pub(crate) deletions: i64,
}

/// How far a thread is in the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Every message up to here has its vectors, or nothing that a vector could be made of.
    pub(crate) seq: i64,
    /// So many deletions have been taken into account.
    pub(crate) deletions: i64,
}

impl Progress {
    /// Whether the index holds all that it can of a thread, and nothing that was deleted.
    pub(crate) fn covers(&self, thread: &Subject) -> bool {
        self.seq >= thread.last_seq && self.deletions >= thread.deletions
    }
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

    /// All there are.
    pub(crate) async fn spaces(&self) -> Result<Vec<SpaceRow>, DbErr> {
        space::Entity::find().all(self.database.read()).await
    }

    /// Whether something was written to a space since then.
    pub(crate) async fn is_in_use(
        &self,
        space: &SpaceRow,
        since: DateTime<Utc>,
    ) -> Result<bool, DbErr> {
        let recent = thread::Entity::find()
            .filter(thread::Column::SpaceId.eq(space.id))
            .filter(thread::Column::CheckedAt.gte(since))
            .one(self.database.read())
            .await?;
        Ok(recent.is_some())
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

    /// Threads of these spaces that nobody has looked for since then, the longest unseen first.
    pub(crate) async fn unchecked(
        &self,
        spaces: &[i64],
        since: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<Unchecked>, DbErr> {
        let rows: Vec<(Uuid, i64)> = thread::Entity::find()
            .select_only()
            .column(thread::Column::ThreadId)
            .column(thread::Column::ThreadNumber)
            .filter(thread::Column::SpaceId.is_in(spaces.iter().copied()))
            .filter(thread::Column::CheckedAt.lt(since))
            .order_by_asc(thread::Column::CheckedAt)
            .limit(limit)
            .into_tuple()
            .all(self.database.read())
            .await?;
        let rows = rows.into_iter();
        Ok(rows.map(|(id, number)| Unchecked { id, number }).collect())
    }

    /// The spaces that a thread is in.
    pub(crate) async fn spaces_of(&self, thread: Uuid) -> Result<Vec<Space>, DbErr> {
        let ids: Vec<i64> = thread::Entity::find()
            .select_only()
            .column(thread::Column::SpaceId)
            .filter(thread::Column::ThreadId.eq(thread))
            .into_tuple()
            .all(self.database.read())
            .await?;
        let rows = space::Entity::find()
            .filter(space::Column::Id.is_in(ids))
            .all(self.database.read())
            .await?;
        let spaces = rows.into_iter().map(|row| Space {
            database: self.database.clone(),
            id: row.id,
            model: row.model,
            dimensions: usize::try_from(row.dimensions).unwrap_or_default(),
        });
        Ok(spaces.collect())
    }

    /// The thread is there.
    pub(crate) async fn checked(
        &self,
        spaces: &[i64],
        thread: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        thread::Entity::update_many()
            .col_expr(thread::Column::CheckedAt, Expr::value(now))
            .filter(thread::Column::ThreadId.eq(thread))
            .filter(thread::Column::SpaceId.is_in(spaces.iter().copied()))
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
