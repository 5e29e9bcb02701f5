//! Rows of `relay_mark`.

use chrono::{DateTime, Utc};
use confab_database::Database;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

pub(super) mod mark {
    //! How far a replica has published.

    use sea_orm::entity::prelude::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "relay_mark")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) replica: Uuid,
        pub(crate) published_id: i64,
        pub(crate) at: DateTimeUtc,
    }

    #[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Says how far a replica is.
pub(super) async fn write(
    database: &Database,
    replica: Uuid,
    published_id: i64,
    at: DateTime<Utc>,
) -> Result<(), DbErr> {
    let row = mark::ActiveModel {
        replica: ActiveValue::Set(replica),
        published_id: ActiveValue::Set(published_id),
        at: ActiveValue::Set(at),
    };
    let replace = OnConflict::column(mark::Column::Replica)
        .update_columns([mark::Column::PublishedId, mark::Column::At])
        .to_owned();
    mark::Entity::insert(row)
        .on_conflict(replace)
        .exec_without_returning(database.write())
        .await?;
    Ok(())
}

/// The marks of all other replicas, dead or alive.
pub(super) async fn others(database: &Database, replica: Uuid) -> Result<Vec<mark::Model>, DbErr> {
    mark::Entity::find()
        .filter(mark::Column::Replica.ne(replica))
        .all(database.read())
        .await
}

/// Removes a mark, unless its replica has moved it: then it is alive after all.
pub(super) async fn remove(database: &Database, mark: &mark::Model) -> Result<(), DbErr> {
    mark::Entity::delete_many()
        .filter(mark::Column::Replica.eq(mark.replica))
        .filter(mark::Column::At.eq(mark.at))
        .filter(mark::Column::PublishedId.eq(mark.published_id))
        .exec(database.write())
        .await?;
    Ok(())
}
