//! What an answer took.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // JSON: it is written once, read as a whole and never searched, and most rows of the table have none.
        let receipt = ColumnDef::new("receipt").json().to_owned();
        let statement = Table::alter()
            .table("message")
            .add_column(receipt)
            .to_owned();
        manager.alter_table(statement).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statement = Table::alter()
            .table("message")
            .drop_column("receipt")
            .to_owned();
        manager.alter_table(statement).await
    }
}
