//! How far each replica has handed its entries to the broker: where another one goes on when it dies.

use sea_orm_migration::prelude::*;

use crate::time;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("relay_mark")
            // One run of one process.
            .col(ColumnDef::new("replica").uuid().not_null().primary_key())
            // Whatever this replica wrote up to this `message.id` has left.
            .col(ColumnDef::new("published_id").big_integer().not_null())
            // When that was said. A mark that stands still is of a process that died.
            .col(time("at"))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("relay_mark").to_owned())
            .await
    }
}
