//! Files of messages between people: readers besides the owner, when a file that no message carries goes, and the row
//! that uploads of one owner queue at.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(attachment_reader()).await?;
        manager.create_table(attachment_owner()).await?;
        let reap_at = ColumnDef::new("reap_at")
            .timestamp_with_time_zone()
            .null()
            .to_owned();
        manager
            .alter_table(
                Table::alter()
                    .table("attachment")
                    .add_column(reap_at)
                    .to_owned(),
            )
            .await?;
        for (name, columns) in INDICES {
            let mut index = Index::create();
            index.name(*name).table("attachment");
            for column in *columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDICES {
            manager
                .drop_index(Index::drop().name(*name).table("attachment").to_owned())
                .await?;
        }
        manager
            .alter_table(
                Table::alter()
                    .table("attachment")
                    .drop_column("reap_at")
                    .to_owned(),
            )
            .await?;
        for table in ["attachment_owner", "attachment_reader"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// The first answers a quota from the index alone, the second finds what is due.
const INDICES: &[(&str, &[&str])] = &[
    ("attachment_owner_size", &["owner_id", "size"]),
    ("attachment_reap_at", &["reap_at"]),
];

/// Who may read a file besides its owner.
fn attachment_reader() -> TableCreateStatement {
    Table::create()
        .table("attachment_reader")
        .col(ColumnDef::new("attachment_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .primary_key(Index::create().col("attachment_id").col("user_id"))
        .foreign_key(
            ForeignKey::create()
                .name("attachment_reader_attachment_id")
                .from("attachment_reader", "attachment_id")
                .to("attachment", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

/// Everybody who ever had a file. The row is locked while a file is added, so that two uploads cannot pass a quota side
/// by side.
fn attachment_owner() -> TableCreateStatement {
    Table::create()
        .table("attachment_owner")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .to_owned()
}
