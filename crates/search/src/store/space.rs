//! Table `vector_space`: vectors of one model and length.

use sea_orm::entity::prelude::*;

#[expect(clippy::struct_field_names, reason = "a column keeps its name")]
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "vector_space")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) model: String,
    pub(crate) dimensions: i32,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
