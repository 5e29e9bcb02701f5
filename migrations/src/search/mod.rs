//! Tables of the search service.

mod m20261121_000001_first;

use sea_orm_migration::prelude::*;

/// Brings the tables of the search service up to date.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261121_000001_first::Migration)]
    }

    fn migration_table_name() -> DynIden {
        "search_migrations".into_iden()
    }
}
