//! Rows of `message` in threads between people: the columns that these use.

use sea_orm::entity::prelude::*;

use crate::answer::State;
use crate::exchange::AuthorKind;
use crate::people::EntryKind;
use crate::store::message::Attachments;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) thread: i64,
    pub(crate) seq: i64,
    pub(crate) kind: EntryKind,
    pub(crate) author_kind: AuthorKind,
    pub(crate) author_id: Uuid,
    pub(crate) state: State,
    pub(crate) content: String,
    pub(crate) attachments: Attachments,
    pub(crate) client_msg_id: Option<String>,
    pub(crate) fingerprint: Option<Vec<u8>>,
    pub(crate) profile_id: Option<Uuid>,
    pub(crate) read_seq: Option<i64>,
    pub(crate) refers_to: Option<i64>,
    pub(crate) membership_version: i64,
    pub(crate) traceparent: Option<String>,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) updated_at: DateTimeUtc,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::conversation::Entity",
        from = "Column::Thread",
        to = "super::conversation::Column::Number"
    )]
    Conversation,
}

impl Related<super::conversation::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Conversation.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
