//! Rows of `message`.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::answer::{Receipt, State};
use crate::exchange::{Attachment, AuthorKind};

/// One entry of a thread's log.
#[expect(clippy::struct_field_names, reason = "a column keeps its name")]
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) thread: i64,
    pub(crate) seq: i64,
    pub(crate) author_kind: AuthorKind,
    pub(crate) author_id: Uuid,
    pub(crate) state: State,
    pub(crate) content: String,
    pub(crate) attachments: Attachments,
    pub(crate) client_msg_id: Option<String>,
    pub(crate) fingerprint: Option<Vec<u8>>,
    pub(crate) model: Option<String>,
    pub(crate) answers: Option<i64>,
    pub(crate) run_id: Option<Uuid>,
    pub(crate) fence: i64,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) updated_at: DateTimeUtc,
}

/// The files of a message, as JSON in its row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, FromJsonQueryResult)]
pub(crate) struct Attachments(pub(crate) Vec<Attachment>);

impl Attachments {
    /// How long they are as JSON.
    pub(crate) fn bytes(&self) -> usize {
        if self.0.is_empty() {
            return 2;
        }
        serde_json::to_string(self).map_or(0, |json| json.len())
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::thread::Entity",
        from = "Column::Thread",
        to = "super::thread::Column::Number"
    )]
    Thread,
}

impl Related<super::thread::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Thread.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
