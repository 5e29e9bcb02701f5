//! Tables of the completions service.

mod m20261121_000001_first;
mod m20261121_000002_follow;
mod m20261122_000003_smaller_indexes;

use sea_orm_migration::prelude::*;

/// Brings the tables of the completions service up to date.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_first::Migration),
            Box::new(m20261121_000002_follow::Migration),
            Box::new(m20261122_000003_smaller_indexes::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "completions_migrations".into_iden()
    }
}
