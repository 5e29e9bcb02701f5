//! What an answer took, and how many messages of a thread were deleted.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // JSON: it is written once, read as a whole and never searched, and most rows of the table have none.
        let receipt = ColumnDef::new("receipt").json().to_owned();
        add(manager, "message", receipt).await?;
        let deletions = ColumnDef::new("deletions")
            .big_integer()
            .not_null()
            .default(0)
            .to_owned();
        add(manager, "thread", deletions).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [("thread", "deletions"), ("message", "receipt")] {
            let statement = Table::alter().table(table).drop_column(column).to_owned();
            manager.alter_table(statement).await?;
        }
        Ok(())
    }
}

async fn add(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    let statement = Table::alter().table(table).add_column(column).to_owned();
    manager.alter_table(statement).await
}
