//! Table `indexed_thread`: how far a thread is indexed.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "indexed_thread")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) space_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) thread_id: Uuid,
    pub(crate) thread_number: i64,
    pub(crate) indexed_seq: i64,
    pub(crate) deletions: i64,
    pub(crate) checked_at: DateTimeUtc,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
