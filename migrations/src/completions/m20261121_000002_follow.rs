//! What lets a run be cancelled, begun anew by another process, and told about.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column in a statement.
        for column in columns() {
            let statement = Table::alter().table("run").add_column(column).to_owned();
            manager.alter_table(statement).await?;
        }
        manager.create_index(cancel_requested()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(Index::drop().name("run_cancel_requested").to_owned())
            .await?;
        for column in columns() {
            let name = column.get_column_name();
            let statement = Table::alter().table("run").drop_column(name).to_owned();
            manager.alter_table(statement).await?;
        }
        Ok(())
    }
}

fn columns() -> [ColumnDef; 10] {
    [
        // Written by whoever is told to stop the run, not by the one that works on it.
        column("cancel_requested_at", |column| {
            column.timestamp_with_time_zone()
        }),
        // Whether the answer is to what the thread holds, and no question belongs to it.
        column("stored", |column| {
            column.boolean().not_null().default(false)
        }),
        // The API key whose budget pays as well.
        column("api_key_id", |column| column.uuid()),
        // What was said beside the question, as long as it may have to be asked again; null when the run has ended.
        column("parameters", |column| column.text()),
        column("instructions", |column| column.text()),
        // How often it was asked, counted before it is.
        column("attempts", |column| {
            column.small_integer().not_null().default(1)
        }),
        // Which attempt's text is in the thread.
        column("generation", |column| {
            column.small_integer().not_null().default(1)
        }),
        column("finish_reason", |column| column.string_len(255)),
        column("first_token_ms", |column| column.big_integer()),
        column("duration_ms", |column| column.big_integer()),
    ]
}

fn column(name: &'static str, define: fn(&mut ColumnDef) -> &mut ColumnDef) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    define(&mut column);
    column
}

/// Each process asks several times a second which of its runs shall stop: hardly any.
fn cancel_requested() -> IndexCreateStatement {
    Index::create()
        .name("run_cancel_requested")
        .table("run")
        .col("lease_owner")
        .cond_where(Expr::col("cancel_requested_at").is_not_null())
        .cond_where(Expr::col("ended_at").is_null())
        .to_owned()
}
