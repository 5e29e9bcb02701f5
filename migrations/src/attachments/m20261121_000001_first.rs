//! Files, and the secret that signs links to them.

use sea_orm_migration::prelude::*;

use crate::time;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(attachment()).await?;
        manager
            .create_index(
                Index::create()
                    .name("attachment_thread_id")
                    .table("attachment")
                    .col("thread_id")
                    .to_owned(),
            )
            .await?;
        manager.create_table(link_secret()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["link_secret", "attachment"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// A file whose bytes are stored whole.
fn attachment() -> TableCreateStatement {
    Table::create()
        .table("attachment")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(
            ColumnDef::new("name")
                .string_len(64)
                .not_null()
                .unique_key(),
        )
        .col(ColumnDef::new("owner_id").uuid().not_null())
        .col(ColumnDef::new("thread_id").uuid().not_null())
        .col(ColumnDef::new("original_name").string_len(255).not_null())
        .col(ColumnDef::new("content_type").string_len(255).not_null())
        .col(ColumnDef::new("size").big_integer().not_null())
        .col(ColumnDef::new("sha256").string_len(64).not_null())
        .col(time("created_at"))
        .to_owned()
}

/// Signs links that anyone may follow until they expire; all replicas share it.
fn link_secret() -> TableCreateStatement {
    Table::create()
        .table("link_secret")
        .col(
            ColumnDef::new("id")
                .small_integer()
                .not_null()
                .primary_key(),
        )
        .col(ColumnDef::new("secret").binary_len(32).not_null())
        .col(time("created_at"))
        .to_owned()
}
