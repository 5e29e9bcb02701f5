//! What is known of the files. A user's files are only reached through [`Store::of`].

mod attachment;
mod link_secret;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

pub(crate) use attachment::Model as Attachment;

use crate::link::SECRET_BYTES;

/// Rows of one statement, at most.
const BATCH: usize = 500;
/// The one row of `link_secret`.
const THE_SECRET: i16 = 1;

/// The tables of this service.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The files of one owner.
    pub(crate) fn of(&self, owner_id: Uuid) -> Owned<'_> {
        Owned {
            database: &self.database,
            owner_id,
        }
    }

    /// Writes a file down whose bytes are stored.
    pub(crate) async fn insert(&self, attachment: Attachment) -> Result<Attachment, DbErr> {
        attachment::Entity::insert(attachment.clone().into_active_model())
            .exec_without_returning(self.database.write())
            .await?;
        Ok(attachment)
    }

    /// A file, whoever owns it: for callers that have shown that they may read it.
    pub(crate) async fn anyones(&self, id: Uuid) -> Result<Option<Attachment>, DbErr> {
        attachment::Entity::find_by_id(id)
            .one(self.database.read())
            .await
    }

    /// Which of these files are known.
    pub(crate) async fn known(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, DbErr> {
        let mut known = HashSet::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            let rows: Vec<Uuid> = attachment::Entity::find()
                .select_only()
                .column(attachment::Column::Id)
                .filter(attachment::Column::Id.is_in(ids.iter().copied()))
                .into_tuple()
                .all(self.database.read())
                .await?;
            known.extend(rows);
        }
        Ok(known)
    }

    /// The secret that all replicas sign links with: the first one that was ever offered.
    pub(crate) async fn link_secret(
        &self,
        offered: [u8; SECRET_BYTES],
        now: DateTime<Utc>,
    ) -> Result<[u8; SECRET_BYTES], DbErr> {
        let row = link_secret::Model {
            id: THE_SECRET,
            secret: offered.to_vec(),
            created_at: now,
        };
        link_secret::Entity::insert(row.into_active_model())
            .on_conflict_do_nothing()
            .exec_without_returning(self.database.write())
            .await?;
        let row = link_secret::Entity::find_by_id(THE_SECRET)
            .one(self.database.write())
            .await?;
        row.and_then(|row| row.secret.try_into().ok())
            .ok_or_else(|| {
                DbErr::Custom("the secret for links is not of the right length".to_owned())
            })
    }
}

/// The files of one owner.
pub(crate) struct Owned<'a> {
    database: &'a Database,
    owner_id: Uuid,
}

impl Owned<'_> {
    pub(crate) async fn get(&self, id: Uuid) -> Result<Option<Attachment>, DbErr> {
        attachment::Entity::find_by_id(id)
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .one(self.database.read())
            .await
    }

    /// The files of a thread, oldest first.
    pub(crate) async fn list(&self, thread_id: Uuid) -> Result<Vec<Attachment>, DbErr> {
        attachment::Entity::find()
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .filter(attachment::Column::ThreadId.eq(thread_id))
            .order_by_asc(attachment::Column::CreatedAt)
            .order_by_asc(attachment::Column::Id)
            .all(self.database.read())
            .await
    }

    /// Forgets a file; says whether there was one.
    pub(crate) async fn delete(&self, id: Uuid) -> Result<bool, DbErr> {
        let deleted = attachment::Entity::delete_many()
            .filter(attachment::Column::Id.eq(id))
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .exec(self.database.write())
            .await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Forgets some files of a thread and says which; none when there are no more.
    pub(crate) async fn delete_some(&self, thread_id: Uuid) -> Result<Vec<Uuid>, DbErr> {
        let transaction = self.database.begin().await?;
        let ids: Vec<Uuid> = attachment::Entity::find()
            .select_only()
            .column(attachment::Column::Id)
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .filter(attachment::Column::ThreadId.eq(thread_id))
            .limit(BATCH as u64)
            .lock_exclusive()
            .into_tuple()
            .all(&transaction)
            .await?;
        attachment::Entity::delete_many()
            .filter(attachment::Column::Id.is_in(ids.iter().copied()))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(ids)
    }
}
