//! Rows of `thread` between people: the columns that these use.

use sea_orm::entity::prelude::*;

use crate::people::{Pair, Place};
use crate::thread::Kind;

/// A direct thread or a group.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "thread")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) number: i64,
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) owner_id: Uuid,
    pub(crate) last_seq: i64,
    pub(crate) low_id: Option<Uuid>,
    pub(crate) high_id: Option<Uuid>,
    pub(crate) membership_version: i64,
    pub(crate) created_at: DateTimeUtc,
    pub(crate) active_at: DateTimeUtc,
}

impl Model {
    pub(crate) fn place(&self) -> Place {
        place(self.number, self.low_id, self.high_id)
    }
}

/// What a thread between people is; only direct ones have a pair.
pub(crate) fn place(number: i64, low: Option<Uuid>, high: Option<Uuid>) -> Place {
    match (low, high) {
        (Some(low), Some(high)) => Place::Direct(Pair { low, high }),
        _ => Place::Group(number),
    }
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(has_many = "crate::store::member::Entity")]
    Member,
}

impl Related<crate::store::member::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Member.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
