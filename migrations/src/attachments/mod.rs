//! Tables of the attachments service.

mod m20261121_000001_first;
mod m20261121_000002_readers;

use sea_orm_migration::prelude::*;

/// Brings the tables of the attachments service up to date.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_first::Migration),
            Box::new(m20261121_000002_readers::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "attachments_migrations".into_iden()
    }
}
