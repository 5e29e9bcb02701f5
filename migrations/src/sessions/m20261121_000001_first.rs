//! Users, what they may ask, what they may spend, and the keys that sign their tokens.

use sea_orm_migration::prelude::*;

use crate::{money, number, time};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(user_account()).await?;
        manager.create_table(model_grant()).await?;
        manager.create_table(ledger()).await?;
        manager.create_table(reservation()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager.create_table(signing_key()).await?;
        manager.create_table(external_identity()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "external_identity",
            "signing_key",
            "reservation",
            "ledger",
            "model_grant",
            "user_account",
        ] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// A user. The balance is the sum of the ledger, kept in the same transaction so that it can be locked and checked.
fn user_account() -> TableCreateStatement {
    Table::create()
        .table("user_account")
        .col(number("number"))
        .col(ColumnDef::new("id").uuid().not_null().unique_key())
        .col(
            ColumnDef::new("username")
                .string_len(255)
                .not_null()
                .unique_key(),
        )
        .col(money("balance_microdollars"))
        .col(money("reserved_microdollars"))
        .col(time("created_at"))
        .check(Expr::col("reserved_microdollars").gte(0))
        .check(Expr::col("balance_microdollars").gte(Expr::col("reserved_microdollars")))
        .to_owned()
}

/// A model that a user may ask.
fn model_grant() -> TableCreateStatement {
    Table::create()
        .table("model_grant")
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("model_id").integer().not_null())
        .primary_key(Index::create().col("user_id").col("model_id"))
        .foreign_key(&mut to_user("model_grant"))
        .to_owned()
}

/// What came in and what was spent. Rows are only ever added.
fn ledger() -> TableCreateStatement {
    Table::create()
        .table("ledger")
        .col(number("id"))
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(
            ColumnDef::new("amount_microdollars")
                .big_integer()
                .not_null(),
        )
        .col(ColumnDef::new("kind").small_integer().not_null())
        // Of a charge: the run it pays for.
        .col(ColumnDef::new("run_id").uuid().unique_key())
        // Of a deposit: what makes it happen once.
        .col(ColumnDef::new("deposit_key").string_len(255))
        .col(time("booked_at"))
        .foreign_key(&mut to_user("ledger"))
        .to_owned()
}

/// Money set aside for a run.
fn reservation() -> TableCreateStatement {
    Table::create()
        .table("reservation")
        .col(ColumnDef::new("run_id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(
            ColumnDef::new("amount_microdollars")
                .big_integer()
                .not_null(),
        )
        .col(ColumnDef::new("charged_microdollars").big_integer())
        // Does not count when runs under way are limited.
        .col(ColumnDef::new("background").boolean().not_null())
        .col(time("opened_at"))
        // Null: open.
        .col(ColumnDef::new("settled_at").timestamp_with_time_zone())
        .foreign_key(&mut to_user("reservation"))
        .to_owned()
}

/// A key that signs Confab's own tokens.
fn signing_key() -> TableCreateStatement {
    Table::create()
        .table("signing_key")
        .col(ColumnDef::new("id").string_len(64).not_null().primary_key())
        // Counts up from 1, so that of two processes that make the next key at once one wins. The highest one signs.
        .col(
            ColumnDef::new("generation")
                .integer()
                .not_null()
                .unique_key(),
        )
        .col(ColumnDef::new("private_pem").text().not_null())
        .col(time("created_at"))
        .to_owned()
}

/// Which user an OpenID Connect issuer's subject is.
fn external_identity() -> TableCreateStatement {
    Table::create()
        .table("external_identity")
        .col(ColumnDef::new("issuer").string_len(512).not_null())
        .col(ColumnDef::new("subject").string_len(255).not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .primary_key(Index::create().col("issuer").col("subject"))
        .foreign_key(&mut to_user("external_identity"))
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 3] {
    [
        Index::create()
            .name("ledger_user_id_deposit_key")
            .table("ledger")
            .col("user_id")
            .col("deposit_key")
            .unique()
            .to_owned(),
        Index::create()
            .name("ledger_user_id_id")
            .table("ledger")
            .col("user_id")
            .col("id")
            .to_owned(),
        Index::create()
            .name("reservation_user_id_settled_at")
            .table("reservation")
            .col("user_id")
            .col("settled_at")
            .to_owned(),
    ]
}

fn to_user(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "user_id")
        .to("user_account", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
