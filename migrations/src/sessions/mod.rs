//! Tables of the sessions service.

mod m20261121_000001_first;
mod m20261121_000002_sign_in;
mod m20261121_000003_api_keys;
mod m20261121_000004_lifetime;
mod m20261122_000005_smaller_indexes;

use sea_orm_migration::prelude::*;

/// Brings the tables of the sessions service up to date.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_first::Migration),
            Box::new(m20261121_000002_sign_in::Migration),
            Box::new(m20261121_000003_api_keys::Migration),
            Box::new(m20261121_000004_lifetime::Migration),
            Box::new(m20261122_000005_smaller_indexes::Migration),
        ]
    }

    fn migration_table_name() -> DynIden {
        "sessions_migrations".into_iden()
    }
}
