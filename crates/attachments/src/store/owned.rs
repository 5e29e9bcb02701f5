//! The files of one owner.

use confab_database::Database;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::attachment::{self, Model as Attachment};
use super::delete_some;

/// The files of one owner.
pub(crate) struct Owned<'a> {
    database: &'a Database,
    owner_id: Uuid,
}

impl<'a> Owned<'a> {
    pub(super) fn new(database: &'a Database, owner_id: Uuid) -> Self {
        Self { database, owner_id }
    }

    pub(crate) async fn get(&self, id: Uuid) -> Result<Option<Attachment>, DbErr> {
        attachment::Entity::find_by_id(id)
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .one(self.database.read())
            .await
    }

    /// The files of a thread, oldest first, after one of them and at most so many.
    pub(crate) async fn list(
        &self,
        thread_id: Uuid,
        after: Option<&Attachment>,
        limit: Option<u32>,
    ) -> Result<Vec<Attachment>, DbErr> {
        let created_at = attachment::Column::CreatedAt;
        let later = after.map(|after| {
            Condition::any().add(created_at.gt(after.created_at)).add(
                Condition::all()
                    .add(created_at.eq(after.created_at))
                    .add(attachment::Column::Id.gt(after.id)),
            )
        });
        attachment::Entity::find()
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .filter(attachment::Column::ThreadId.eq(thread_id))
            .filter(Condition::all().add_option(later))
            .order_by_asc(created_at)
            .order_by_asc(attachment::Column::Id)
            .limit(limit.map(u64::from))
            .all(self.database.read())
            .await
    }

    /// A message carries the file, so it stays; none when it is not there (any more).
    pub(crate) async fn keep(&self, id: Uuid) -> Result<Option<Attachment>, DbErr> {
        let kept = attachment::Entity::update_many()
            .col_expr(
                attachment::Column::ReapAt,
                Expr::value(None::<sea_orm::prelude::DateTimeUtc>),
            )
            .filter(attachment::Column::Id.eq(id))
            .filter(attachment::Column::OwnerId.eq(self.owner_id))
            .exec_with_returning(self.database.write())
            .await?;
        Ok(kept.into_iter().next())
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
        let condition = Condition::all()
            .add(attachment::Column::OwnerId.eq(self.owner_id))
            .add(attachment::Column::ThreadId.eq(thread_id));
        delete_some(self.database, condition).await
    }
}
