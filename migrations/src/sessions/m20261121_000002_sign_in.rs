//! Passwords, sign-in sessions with their refresh tokens and tickets, what was revoked, failed attempts, profiles.

use sea_orm_migration::prelude::*;

use crate::time;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: [&str; 7] = [
    "sign_in_attempt",
    "revocation",
    "revocation_counter",
    "ticket",
    "refresh_token",
    "sign_in_session",
    "password",
];

const EMAIL_INDEX: &str = "user_account_email_folded";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in profile() {
            manager.alter_table(with_column(column)).await?;
        }
        manager.create_table(password()).await?;
        manager.create_table(sign_in_session()).await?;
        manager.create_table(refresh_token()).await?;
        manager.create_table(ticket()).await?;
        manager.create_table(revocation_counter()).await?;
        manager.execute(first_revocation()).await?;
        manager.create_table(revocation()).await?;
        manager.create_table(sign_in_attempt()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager
                .drop_table(Table::drop().table(table).to_owned())
                .await?;
        }
        let index = Index::drop()
            .name(EMAIL_INDEX)
            .table("user_account")
            .to_owned();
        manager.drop_index(index).await?;
        for column in profile() {
            let name = column.get_column_name();
            let table = Table::alter()
                .table("user_account")
                .drop_column(name)
                .to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}

/// What front ends show of a user; empty until somebody says more.
fn profile() -> [ColumnDef; 9] {
    let text = |name: &'static str, length| {
        let mut column = ColumnDef::new(name);
        column.string_len(length).not_null().default("");
        column
    };
    let optional = |name: &'static str| ColumnDef::new(name);
    [
        text("email", 254),
        // The address in lower case, which nobody else may have; null without an address.
        optional("email_folded").string_len(762).take(),
        text("fullname", 255),
        text("country_code", 8),
        text("phone_number", 32),
        text("gender", 32),
        optional("date_of_birth").date().take(),
        text("photo", 2048),
        // Null: never since the user was made.
        optional("updated_at").timestamp_with_time_zone().take(),
    ]
}

/// SQLite adds one column at a time.
fn with_column(column: ColumnDef) -> TableAlterStatement {
    Table::alter()
        .table("user_account")
        .add_column(column)
        .to_owned()
}

/// Apart from the users, so that a query for a user never holds a hash.
fn password() -> TableCreateStatement {
    Table::create()
        .table("password")
        .col(ColumnDef::new("user_id").uuid().not_null().primary_key())
        // A PHC string, which names its algorithm and parameters.
        .col(ColumnDef::new("hash").string_len(255).not_null())
        .col(time("set_at"))
        .foreign_key(&mut to_user("password"))
        .to_owned()
}

/// One sign-in on one device.
fn sign_in_session() -> TableCreateStatement {
    Table::create()
        .table("sign_in_session")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("user_id").uuid().not_null())
        // Counts the rotations of its refresh token.
        .col(ColumnDef::new("generation").integer().not_null())
        .col(time("rotated_at"))
        .col(time("begun_at"))
        .col(time("expires_at"))
        // Null: not ended before its time.
        .col(ColumnDef::new("ended_at").timestamp_with_time_zone())
        .foreign_key(&mut to_user("sign_in_session"))
        .to_owned()
}

/// Every refresh token of a session, so that an old one is known when it comes again.
fn refresh_token() -> TableCreateStatement {
    Table::create()
        .table("refresh_token")
        .col(hash("hash"))
        .col(ColumnDef::new("session_id").uuid().not_null())
        .col(ColumnDef::new("generation").integer().not_null())
        .foreign_key(&mut to_session("refresh_token"))
        .to_owned()
}

fn ticket() -> TableCreateStatement {
    Table::create()
        .table("ticket")
        .col(hash("hash"))
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("session_id").uuid())
        .col(time("expires_at"))
        // Of a ticket without a session: until when the connection may stay.
        .col(time("connection_ends_at"))
        .foreign_key(&mut to_user("ticket"))
        .foreign_key(&mut to_session("ticket"))
        .to_owned()
}

/// The one row whose lock makes revocations visible in the order of their numbers: a reader that has seen one has seen
/// all before it.
fn revocation_counter() -> TableCreateStatement {
    Table::create()
        .table("revocation_counter")
        .col(ColumnDef::new("id").integer().not_null().primary_key())
        .col(ColumnDef::new("last").big_integer().not_null())
        .to_owned()
}

/// Begins at 1: a reader for whom nothing was revoked yet must not look like one that has not asked.
fn first_revocation() -> InsertStatement {
    Query::insert()
        .into_table("revocation_counter")
        .columns(["id", "last"])
        .values_panic([1.into(), 1_i64.into()])
        .to_owned()
}

/// A session that was ended before its time. No foreign key: it is told also when the user is gone.
fn revocation() -> TableCreateStatement {
    Table::create()
        .table("revocation")
        .col(ColumnDef::new("id").big_integer().not_null().primary_key())
        .col(ColumnDef::new("session_id").uuid().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(time("revoked_at"))
        .to_owned()
}

/// Failed attempts to sign in, by what they have in common.
fn sign_in_attempt() -> TableCreateStatement {
    Table::create()
        .table("sign_in_attempt")
        .col(hash("key"))
        .col(ColumnDef::new("failures").integer().not_null())
        .col(time("counted_at"))
        .col(time("blocked_until"))
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 7] {
    let index = |table: &'static str, column: &'static str| {
        Index::create()
            .name(format!("{table}_{column}"))
            .table(table)
            .col(column)
            .to_owned()
    };
    [
        Index::create()
            .name(EMAIL_INDEX)
            .table("user_account")
            .col("email_folded")
            .unique()
            .to_owned(),
        index("sign_in_session", "user_id"),
        index("sign_in_session", "expires_at"),
        index("refresh_token", "session_id"),
        index("ticket", "expires_at"),
        index("ticket", "session_id"),
        index("sign_in_attempt", "counted_at"),
    ]
}

/// A SHA-256 hash that rows are found by.
fn hash(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.binary_len(32).not_null().primary_key();
    column
}

fn to_user(table: &'static str) -> ForeignKeyCreateStatement {
    cascading(table, "user_id", "user_account")
}

fn to_session(table: &'static str) -> ForeignKeyCreateStatement {
    cascading(table, "session_id", "sign_in_session")
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
