//! What a database error means to a service.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// The columns or constraint that a write collided with, in the database's own words, if that is what went wrong.
/// PostgreSQL names the constraint, SQLite the `table.column`s: look for the column's name in it.
#[must_use]
pub fn violated_unique(error: &DbErr) -> Option<String> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) => Some(what),
        _ => None,
    }
}

/// Whether the same call may work later: no connection was free or the server is away.
#[must_use]
pub fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => matches!(
            **error,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_)
        ),
        _ => false,
    }
}
