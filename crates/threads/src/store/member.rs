//! Rows of `member`.

use sea_orm::entity::prelude::*;

/// Someone who may read and write a thread.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) thread: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) user_id: Uuid,
    pub(crate) joined_seq: i64,
    pub(crate) read_seq: i64,
    pub(crate) joined_at: Option<DateTimeUtc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::thread::Entity",
        from = "Column::Thread",
        to = "super::thread::Column::Number"
    )]
    Thread,
    #[sea_orm(
        belongs_to = "super::people::conversation::Entity",
        from = "Column::Thread",
        to = "super::people::conversation::Column::Number"
    )]
    Conversation,
}

impl Related<super::people::conversation::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Conversation.def()
    }
}

impl Related<super::thread::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Thread.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
