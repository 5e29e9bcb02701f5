//! Threads of every kind, who is in them, and what was said.

use sea_orm_migration::prelude::*;

use crate::{number, time};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(thread()).await?;
        manager.create_table(member()).await?;
        manager.create_table(message()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["message", "member", "thread"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// A conversation. `last_seq` is locked and raised in the transaction that writes the message it numbers.
fn thread() -> TableCreateStatement {
    Table::create()
        .table("thread")
        .col(number("number"))
        .col(ColumnDef::new("id").uuid().not_null().unique_key())
        .col(ColumnDef::new("kind").small_integer().not_null())
        .col(ColumnDef::new("owner_id").uuid().not_null())
        .col(ColumnDef::new("title").string_len(255).not_null())
        .col(ColumnDef::new("instructions").text().not_null())
        .col(ColumnDef::new("model_id").integer())
        .col(
            ColumnDef::new("last_seq")
                .big_integer()
                .not_null()
                .default(0),
        )
        .col(ColumnDef::new("summary").text().not_null().default(""))
        .col(
            ColumnDef::new("summary_seq")
                .big_integer()
                .not_null()
                .default(0),
        )
        .col(time("created_at"))
        .col(time("active_at"))
        .to_owned()
}

/// Someone who may read and write a thread.
fn member() -> TableCreateStatement {
    Table::create()
        .table("member")
        .col(ColumnDef::new("thread").big_integer().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        // The last message there was when the member came; 0 for a founder.
        .col(
            ColumnDef::new("joined_seq")
                .big_integer()
                .not_null()
                .default(0),
        )
        // The last message the member has read.
        .col(
            ColumnDef::new("read_seq")
                .big_integer()
                .not_null()
                .default(0),
        )
        .primary_key(Index::create().col("thread").col("user_id"))
        .foreign_key(&mut to_thread("member"))
        .to_owned()
}

/// One entry of a thread's log, written by a person or a model.
fn message() -> TableCreateStatement {
    Table::create()
        .table("message")
        .col(number("id"))
        .col(ColumnDef::new("thread").big_integer().not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("author_kind").small_integer().not_null())
        // The person who wrote it, or for whom the model answers.
        .col(ColumnDef::new("author_id").uuid().not_null())
        .col(ColumnDef::new("state").small_integer().not_null())
        .col(ColumnDef::new("content").text().not_null())
        // JSON: [{"id","name"}, …].
        .col(ColumnDef::new("attachments").json().not_null())
        .col(ColumnDef::new("client_msg_id").string_len(255))
        // SHA-256 over what a repeated `client_msg_id` or run must repeat; set on questions only.
        .col(ColumnDef::new("fingerprint").binary_len(32))
        // The rest is set on answers only.
        .col(ColumnDef::new("model").string_len(255))
        .col(ColumnDef::new("answers").big_integer())
        .col(ColumnDef::new("run_id").uuid())
        .col(ColumnDef::new("fence").big_integer().not_null().default(0))
        .col(time("created_at"))
        .col(time("updated_at"))
        .foreign_key(&mut to_thread("message"))
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 4] {
    [
        Index::create()
            .name("message_thread_seq")
            .table("message")
            .col("thread")
            .col("seq")
            .unique()
            .to_owned(),
        Index::create()
            .name("message_author_id_client_msg_id")
            .table("message")
            .col("author_id")
            .col("client_msg_id")
            .unique()
            .to_owned(),
        Index::create()
            .name("message_run_id")
            .table("message")
            .col("run_id")
            .unique()
            .to_owned(),
        Index::create()
            .name("member_user_id_thread")
            .table("member")
            .col("user_id")
            .col("thread")
            .to_owned(),
    ]
}

fn to_thread(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "thread")
        .to("thread", "number")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
