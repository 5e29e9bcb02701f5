//! What a thread is before it is stored, and what it is found by.

use sea_orm::{DeriveActiveEnum, EnumIter};
use uuid::Uuid;

/// Who talks with whom. The numbers are those of the contract and of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum Kind {
    /// A person and a model.
    #[sea_orm(num_value = 1)]
    Assistant,
    /// Two people.
    #[sea_orm(num_value = 2)]
    Direct,
    /// Many people.
    #[sea_orm(num_value = 3)]
    Group,
}

/// A thread to be made; its owner becomes its only member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewThread {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) title: String,
    pub(crate) instructions: String,
    pub(crate) model_id: Option<i32>,
}

/// What a thread is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Id(Uuid),
    Number(i64),
}

/// What was said in a thread, in a model's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewSummary {
    pub(crate) text: String,
    /// It covers the log up to here.
    pub(crate) seq: i64,
    /// How far the summary went that it goes on from.
    pub(crate) expected_seq: i64,
    /// How many messages had been deleted when the log was read.
    pub(crate) expected_deletions: i64,
}
