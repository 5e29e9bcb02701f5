//! When a reservation is released that nobody settles.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLE: &str = "reservation";
const COLUMN: &str = "expires_at";
const INDEX: &str = "reservation_expires_at";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter()
            .table(TABLE)
            // Null: when it is settled, and not before.
            .add_column(ColumnDef::new(COLUMN).timestamp_with_time_zone())
            .to_owned();
        manager.alter_table(table).await?;
        manager.create_index(open()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(Index::drop().name(INDEX).table(TABLE).to_owned())
            .await?;
        let table = Table::alter().table(TABLE).drop_column(COLUMN).to_owned();
        manager.alter_table(table).await
    }
}

/// Holds the few reservations that are open and may expire, however many were settled.
fn open() -> IndexCreateStatement {
    Index::create()
        .name(INDEX)
        .table(TABLE)
        .col(COLUMN)
        .and_where(Expr::col("settled_at").is_null())
        .and_where(Expr::col(COLUMN).is_not_null())
        .to_owned()
}
