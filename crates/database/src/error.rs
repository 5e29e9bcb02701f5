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

/// Classes of PostgreSQL's error codes for what passes: lost connections, exhausted resources (connections, memory, disk),
/// and the operator's doing (a server that stops or starts, a time limit); and a transaction that was idle for too long.
const PASSING: [&str; 4] = ["08", "25P03", "53", "57"];

/// Whether the same call may work later: no connection was free, or the server is away, stopping, starting, out of
/// something, or took too long.
#[must_use]
pub fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => is_passing(error),
        _ => false,
    }
}

fn is_passing(error: &sqlx::Error) -> bool {
    let code = match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => return true,
        sqlx::Error::Database(error) => error.code(),
        _ => None,
    };
    // SQLite's codes are numbers of another kind.
    code.is_some_and(|code| code.len() == 5 && PASSING.iter().any(|class| code.starts_with(class)))
}
