//! Databases of a test's own.
#![expect(clippy::expect_used, reason = "a test without a database has failed")]

use std::path::Path;

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Database, Settings};

/// Names the PostgreSQL database that tests may fill: `scripts/test` sets it.
pub const POSTGRES: &str = "CONFAB_TEST_POSTGRES";

/// An empty database that nobody else uses, and what keeps it alive.
#[derive(Debug)]
pub struct Scratch {
    /// The open database, without tables.
    pub database: Database,
    _folder: Option<TempDir>,
}

impl Scratch {
    /// One on SQLite and one on PostgreSQL: a service's tests run on both.
    ///
    /// # Panics
    /// When either cannot be made. A test without a database has failed; it is not skipped.
    pub async fn both() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    /// A SQLite file in a folder of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test's database");
        let database = open(settings(&sqlite_url(folder.path()))).await;
        Self {
            database,
            _folder: Some(folder),
        }
    }

    /// A PostgreSQL schema of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn postgres() -> Self {
        let database = open(settings(&postgres_url().await)).await;
        Self {
            database,
            _folder: None,
        }
    }
}

async fn open(settings: Settings) -> Database {
    Database::open(&settings)
        .await
        .expect("the test's database opens")
}

/// Settings for a test's database: the defaults with few connections.
#[must_use]
pub fn settings(url: &str) -> Settings {
    Settings {
        url: SecretString::from(url),
        max_connections: 8,
        acquire_timeout_ms: 10_000,
        statement_timeout_ms: 10_000,
    }
}

/// The URL of a SQLite file in a folder.
#[must_use]
pub fn sqlite_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("test.db").display())
}

/// What SQLite says of the integrity of a file: `ok`, or the first thing that is wrong with it.
///
/// # Panics
/// When it cannot be opened.
pub async fn integrity(file: &Path) -> String {
    let url = format!("sqlite:{}", file.display());
    let connection = SqliteConnection::connect(&url).await;
    let mut connection = connection.expect("the file opens");
    let said = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection);
    let said = said.await.expect("SQLite checks the file");
    connection.close().await.expect("the file is closed");
    said
}

/// The URL of a new, empty PostgreSQL schema.
///
/// # Panics
/// When the environment names no PostgreSQL or it does not answer.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings to be given; this module is not part of the shipped program"
)]
pub async fn postgres_url() -> String {
    let server = std::env::var(POSTGRES).unwrap_or_else(|_| {
        panic!("{POSTGRES} names no PostgreSQL database; scripts/test starts one and sets it")
    });
    let schema = format!("test_{}", Uuid::now_v7().simple());
    let mut connection = PgConnection::connect(&server)
        .await
        .expect("the PostgreSQL that tests use answers");
    connection
        .execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
        .await
        .expect("a schema of the test's own");
    connection.close().await.expect("the connection closes");
    let separator = if server.contains('?') { '&' } else { '?' };
    format!("{server}{separator}options=-c%20search_path%3D{schema}")
}
