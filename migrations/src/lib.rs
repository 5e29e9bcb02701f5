//! The tables, one module and one bookkeeping table per owning service. No foreign key crosses services.
//!
//! A migration that has shipped is never edited. Expand first, contract in a later release: the binaries before and
//! after a migration run side by side during a rollout.

pub mod attachments;
pub mod completions;
pub mod search;
pub mod sessions;
pub mod threads;

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, IndexCreateStatement, IntoIden, SchemaManager,
};

/// A point in time, with its zone.
fn time(name: impl IntoIden) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.timestamp_with_time_zone().not_null();
    column
}

/// A number that the database hands out. It identifies; it takes no part in ordering.
fn number(name: impl IntoIden) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column
        .big_integer()
        .not_null()
        .auto_increment()
        .primary_key();
    column
}

/// Micro-dollars, starting at zero.
fn money(name: impl IntoIden) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null().default(0);
    column
}

/// Takes indexes away and makes others, which may bear the same names.
async fn replace_indexes(
    manager: &SchemaManager<'_>,
    old: impl IntoIterator<Item = IndexCreateStatement>,
    new: impl IntoIterator<Item = IndexCreateStatement>,
) -> Result<(), DbErr> {
    for index in old {
        let name = index.get_index_spec().get_name().unwrap_or_default();
        let drop = Index::drop().name(name).to_owned();
        manager.drop_index(drop).await?;
    }
    for index in new {
        manager.create_index(index).await?;
    }
    Ok(())
}
