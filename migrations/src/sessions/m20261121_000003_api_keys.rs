//! API keys with their budgets, and which key a reservation and a charge belong to.

use sea_orm_migration::prelude::*;

use crate::{money, time};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const KEY: &str = "api_key_id";

/// What may belong to a key. No foreign key: a booked entry stays as it is whatever becomes of the key.
const BOOKS: [&str; 2] = ["reservation", "ledger"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(api_key()).await?;
        manager.create_table(api_key_model()).await?;
        manager.create_index(of_user()).await?;
        for table in BOOKS {
            // Null: no key asked.
            let table = Table::alter()
                .table(table)
                .add_column(ColumnDef::new(KEY).uuid())
                .to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in BOOKS {
            let table = Table::alter().table(table).drop_column(KEY).to_owned();
            manager.alter_table(table).await?;
        }
        for table in ["api_key_model", "api_key"] {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// A key for a user's programs. `spent` is the sum of its charges and `reserved` of its open reservations, kept in the
/// same transaction so that both can be checked against the budget.
fn api_key() -> TableCreateStatement {
    let cost = || Expr::col("spent_microdollars").add(Expr::col("reserved_microdollars"));
    let budget = || Expr::col("budget_microdollars");
    Table::create()
        .table("api_key")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        // SHA-256 of the secret.
        .col(
            ColumnDef::new("hash")
                .binary_len(32)
                .not_null()
                .unique_key(),
        )
        .col(ColumnDef::new("name").string_len(255).not_null())
        .col(ColumnDef::new("hint").string_len(4).not_null())
        // Names with blanks between them, as OAuth writes scopes (RFC 6749 3.3).
        .col(ColumnDef::new("scopes").string_len(255).not_null())
        // Null: as much as the user has.
        .col(ColumnDef::new("budget_microdollars").big_integer())
        .col(money("spent_microdollars"))
        .col(money("reserved_microdollars"))
        .col(time("created_at"))
        // Null: never.
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone())
        .col(ColumnDef::new("revoked_at").timestamp_with_time_zone())
        .check(Expr::col("spent_microdollars").gte(0))
        .check(Expr::col("reserved_microdollars").gte(0))
        .check(budget().is_null().or(budget().gte(cost())))
        .foreign_key(&mut cascading("api_key", "user_id", "user_account"))
        .to_owned()
}

/// A model that a key may ask; a key without any may ask all of its user's.
fn api_key_model() -> TableCreateStatement {
    Table::create()
        .table("api_key_model")
        .col(ColumnDef::new("key_id").uuid().not_null())
        .col(ColumnDef::new("model_id").integer().not_null())
        .primary_key(Index::create().col("key_id").col("model_id"))
        .foreign_key(&mut cascading("api_key_model", "key_id", "api_key"))
        .to_owned()
}

/// Ids ascend with time: a user's newest keys are at its end.
fn of_user() -> IndexCreateStatement {
    Index::create()
        .name("api_key_user_id_id")
        .table("api_key")
        .col("user_id")
        .col("id")
        .to_owned()
}

fn cascading(
    table: &'static str,
    column: &'static str,
    to: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}_fkey"))
        .from(table, column)
        .to(to, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}
