//! Rows of `thread`.

use sea_orm::entity::prelude::*;

use crate::thread::Kind;

/// A conversation.
#[expect(clippy::struct_field_names, reason = "a column keeps its name")]
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "thread")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) number: i64,
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) owner_id: Uuid,
    pub(crate) title: String,
    pub(crate) instructions: String,
    pub(crate) model_id: Option<i32>,
    pub(crate) last_seq: i64,
    pub(crate) summary: String,
    pub(crate) summary_seq: i64,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) active_at: DateTimeUtc,
    pub(crate) deletions: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(has_many = "super::member::Entity")]
    Member,
    #[sea_orm(has_many = "super::message::Entity")]
    Message,
}

impl Related<super::member::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Member.def()
    }
}

impl Related<super::message::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Message.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
