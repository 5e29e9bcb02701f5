//! Tables of the threads service.

mod m20261121_000001_first;
mod m20261121_000002_people;
mod m20261121_000003_relay;
mod m20261121_000004_single_messages;
mod m20261122_000005_smaller_indexes;

use sea_orm_migration::prelude::*;

/// Brings the tables of the threads service up to date.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_first::Migration),
            Box::new(m20261121_000002_people::Migration),
            Box::new(m20261121_000003_relay::Migration),
            Box::new(m20261121_000004_single_messages::Migration),
            Box::new(m20261122_000005_smaller_indexes::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "threads_migrations".into_iden()
    }
}
