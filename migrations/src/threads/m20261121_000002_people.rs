//! Threads between people: one per pair, groups, and the entries of their logs that are no text.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column in a statement.
        for (table, column) in columns() {
            let statement = Table::alter().table(table).add_column(column).to_owned();
            manager.alter_table(statement).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            "thread_pair",
            "member_user_id_joined_at",
            "message_refers_to",
        ] {
            manager
                .drop_index(Index::drop().name(index).to_owned())
                .await?;
        }
        for (table, column) in columns() {
            let name = column.get_column_name();
            let statement = Table::alter().table(table).drop_column(name).to_owned();
            manager.alter_table(statement).await?;
        }
        Ok(())
    }
}

fn columns() -> [(&'static str, ColumnDef); 10] {
    [
        // The two people of a direct thread, the lower id first.
        ("thread", column("low_id", |column| column.uuid())),
        ("thread", column("high_id", |column| column.uuid())),
        // Rises with every join.
        (
            "thread",
            column("membership_version", |column| {
                column.big_integer().not_null().default(0)
            }),
        ),
        // Not set for members of threads with a model.
        (
            "member",
            column("joined_at", |column| column.timestamp_with_time_zone()),
        ),
        // Text, file, card, join, read mark or announcement. What a model answers is text.
        (
            "message",
            column("kind", |column| {
                column.small_integer().not_null().default(1)
            }),
        ),
        ("message", column("profile_id", |column| column.uuid())),
        ("message", column("read_seq", |column| column.big_integer())),
        // The file that an announcement is of.
        (
            "message",
            column("refers_to", |column| column.big_integer()),
        ),
        // Of the thread when the entry was written.
        (
            "message",
            column("membership_version", |column| {
                column.big_integer().not_null().default(0)
            }),
        ),
        // W3C trace context of the send.
        (
            "message",
            column("traceparent", |column| column.string_len(55)),
        ),
    ]
}

fn column(name: &'static str, of: impl FnOnce(&mut ColumnDef) -> &mut ColumnDef) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    of(&mut column);
    column
}

fn indexes() -> [IndexCreateStatement; 3] {
    [
        Index::create()
            .name("thread_pair")
            .table("thread")
            .col("low_id")
            .col("high_id")
            .unique()
            .to_owned(),
        Index::create()
            .name("member_user_id_joined_at")
            .table("member")
            .col("user_id")
            .col("joined_at")
            .to_owned(),
        // A file is announced once. Most entries refer to nothing and stay out of it.
        Index::create()
            .name("message_refers_to")
            .table("message")
            .col("refers_to")
            .unique()
            .cond_where(Expr::col("refers_to").is_not_null())
            .to_owned(),
    ]
}
