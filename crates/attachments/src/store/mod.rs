//! What is known of the files. A user's own files are only reached through [`Store::of`].

mod attachment;
mod link_secret;
mod owned;
mod owner;
mod reader;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

pub(crate) use attachment::Model as Attachment;

use crate::error::Error;
use crate::link::SECRET_BYTES;
use owned::Owned;

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
        Owned::new(&self.database, owner_id)
    }

    /// Writes a file down whose bytes are stored, with its readers, unless its owner has too much then.
    pub(crate) async fn insert(
        &self,
        attachment: Attachment,
        readers: &[Uuid],
        quota: Option<u64>,
    ) -> Result<Attachment, Error> {
        let transaction = self.database.begin().await?;
        if let Some(limit) = quota {
            let size = u64::try_from(attachment.size).unwrap_or_default();
            let used = lock_usage(&transaction, attachment.owner_id).await?;
            if used.saturating_add(size) > limit {
                return Err(Error::QuotaExceeded { limit });
            }
        }
        attachment::Entity::insert(attachment.clone().into_active_model())
            .exec_without_returning(&transaction)
            .await?;
        let readers = readers.iter().map(|user_id| reader::Model {
            attachment_id: attachment.id,
            user_id: *user_id,
        });
        reader::Entity::insert_many(readers.map(IntoActiveModel::into_active_model))
            .exec_without_returning(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(attachment)
    }

    /// A file that a user owns or may read.
    pub(crate) async fn readable_by(
        &self,
        user_id: Uuid,
        id: Uuid,
    ) -> Result<Option<Attachment>, DbErr> {
        let readers = Query::select()
            .column(reader::Column::UserId)
            .from(reader::Entity)
            .and_where(reader::Column::AttachmentId.eq(id))
            .and_where(reader::Column::UserId.eq(user_id))
            .to_owned();
        let permitted = Condition::any()
            .add(attachment::Column::OwnerId.eq(user_id))
            .add(Expr::exists(readers));
        attachment::Entity::find_by_id(id)
            .filter(permitted)
            .one(self.database.read())
            .await
    }

    /// Whether a user may read a file without owning it.
    pub(crate) async fn is_reader(&self, user_id: Uuid, id: Uuid) -> Result<bool, DbErr> {
        let found = reader::Entity::find_by_id((id, user_id))
            .one(self.database.read())
            .await?;
        Ok(found.is_some())
    }

    /// Forgets some files that were not kept in time and says which; none when there are no more.
    pub(crate) async fn reap_some(&self, now: DateTime<Utc>) -> Result<Vec<Uuid>, DbErr> {
        let due = attachment::Column::ReapAt.lte(now);
        delete_some(&self.database, Condition::all().add(due)).await
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

/// How many bytes the files of a user take. Nobody else adds one until the transaction ends.
async fn lock_usage(transaction: &DatabaseTransaction, owner_id: Uuid) -> Result<u64, DbErr> {
    let owner = owner::Model { id: owner_id };
    owner::Entity::insert(owner.into_active_model())
        .on_conflict_do_nothing()
        .exec_without_returning(transaction)
        .await?;
    owner::Entity::find_by_id(owner_id)
        .lock_exclusive()
        .one(transaction)
        .await?;
    let sum = attachment::Column::Size.sum().cast_as("bigint");
    let used: Option<Option<i64>> = attachment::Entity::find()
        .select_only()
        .expr(sum)
        .filter(attachment::Column::OwnerId.eq(owner_id))
        .into_tuple()
        .one(transaction)
        .await?;
    Ok(used
        .flatten()
        .and_then(|used| u64::try_from(used).ok())
        .unwrap_or_default())
}

/// Forgets some of the files that a condition holds for and says which.
async fn delete_some(database: &Database, condition: Condition) -> Result<Vec<Uuid>, DbErr> {
    let transaction = database.begin().await?;
    let ids: Vec<Uuid> = attachment::Entity::find()
        .select_only()
        .column(attachment::Column::Id)
        .filter(condition)
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
