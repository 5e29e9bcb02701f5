//! Tables of the completions service.

mod m20261121_000001_first;
mod m20261121_000002_follow;

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
        ]
    }

    fn migration_table_name() -> DynIden {
        "completions_migrations".into_iden()
    }
}
