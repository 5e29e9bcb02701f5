//! The index: which model's vectors there are, how far each thread is in them, and the vectors.

use sea_orm_migration::prelude::*;

use crate::{number, time};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [space(), indexed_thread(), message_vector()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["message_vector", "indexed_thread", "vector_space"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// Vectors of one model and length: those that can be compared with each other.
fn space() -> TableCreateStatement {
    Table::create()
        .table("vector_space")
        .col(number("id"))
        .col(ColumnDef::new("model").string_len(255).not_null())
        .col(ColumnDef::new("dimensions").integer().not_null())
        .to_owned()
}

/// How far a thread is indexed. Its row goes with the thread, and takes the vectors along.
fn indexed_thread() -> TableCreateStatement {
    Table::create()
        .table("indexed_thread")
        .col(ColumnDef::new("space_id").big_integer().not_null())
        .col(ColumnDef::new("thread_id").uuid().not_null())
        .col(ColumnDef::new("thread_number").big_integer().not_null())
        // Every message up to here has its vectors, or nothing that a vector could be made of.
        .col(ColumnDef::new("indexed_seq").big_integer().not_null())
        // How many of the thread's messages were deleted when it was last looked at for those.
        .col(ColumnDef::new("deletions").big_integer().not_null())
        // When the thread was last known to exist.
        .col(time("checked_at"))
        .primary_key(Index::create().col("thread_id").col("space_id"))
        .foreign_key(
            ForeignKey::create()
                .from("indexed_thread", "space_id")
                .to("vector_space", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// One piece of a message's text.
fn message_vector() -> TableCreateStatement {
    Table::create()
        .table("message_vector")
        .col(ColumnDef::new("space_id").big_integer().not_null())
        .col(ColumnDef::new("thread_id").uuid().not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("chunk").small_integer().not_null())
        .col(ColumnDef::new("message_id").big_integer().not_null())
        // The message's own; another one means that its text may be another one.
        .col(time("updated_at"))
        // One signed byte per dimension.
        .col(ColumnDef::new("vector").blob().not_null())
        .primary_key(
            Index::create()
                .col("thread_id")
                .col("space_id")
                .col("seq")
                .col("chunk"),
        )
        .foreign_key(
            ForeignKey::create()
                .from("message_vector", ("thread_id", "space_id"))
                .to("indexed_thread", ("thread_id", "space_id"))
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 2] {
    [
        Index::create()
            .name("vector_space_model_dimensions")
            .table("vector_space")
            .col("model")
            .col("dimensions")
            .unique()
            .to_owned(),
        Index::create()
            .name("indexed_thread_checked_at")
            .table("indexed_thread")
            .col("checked_at")
            .to_owned(),
    ]
}
