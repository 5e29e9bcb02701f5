//! Table `attachment`: a file whose bytes are stored.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attachment")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub owner_id: Uuid,
    /// Nil: it belongs to no thread.
    pub thread_id: Uuid,
    pub original_name: String,
    pub content_type: String,
    pub size: i64,
    pub sha256: String,
    pub created_at: DateTime<Utc>,
    /// When it is removed unless it is kept before; none: it stays.
    pub reap_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// This file, if that is its whole name: an id with another extension names nothing.
    pub(crate) fn named(self, name: &str) -> Result<Self, Error> {
        if self.name == name {
            Ok(self)
        } else {
            Err(Error::NotFound)
        }
    }
}
