//! A connection to PostgreSQL or SQLite that behaves the same on both: transactions that write take the write lock when
//! they begin, constraint errors have names, migrations are safe to run from several processes.
//!
//! Nothing here knows a table. Services write their queries with sea-orm, which already speaks both databases.

mod error;
#[cfg(feature = "scratch")]
pub mod scratch;
mod settings;
mod sql;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, SqlxPostgresConnector, SqlxSqliteConnector, TransactionOptions,
    TransactionTrait,
};
use secrecy::ExposeSecret;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use sea_orm_migration::MigratorTrait;

pub use error::{is_unavailable, violated_unique};
pub use settings::{Settings, SettingsError};
pub use sql::{Sql, filled};

/// Two processes that migrate the same PostgreSQL database wait for each other on this advisory lock.
const MIGRATION_LOCK: i64 = 0x0063_6f6e_6661_6200;

/// For how long a connection to PostgreSQL that has answered is trusted without being tried out.
const PROVEN: Duration = Duration::from_millis(100);

/// How long an idle connection may take to give a sign of life. After an outage in which all of them died without a word, a
/// request has time to try several.
const LIVELY: Duration = Duration::from_secs(1);

/// Pages that a connection to SQLite keeps, as SQLite says it: KiB, negative.
const CACHE: &str = "-16384";

/// How much of a file of SQLite is read as memory, in bytes; a connection forgets the pages that it keeps whenever another
/// one has written, and would ask the kernel for each again. What does not fit is read that way. A disk
/// that cannot be read ends the process (SIGBUS) instead of one call; what was acknowledged is in the file either way.
const MAPPED: &str = "1073741824";

/// Rows of SQLite that may wait to be taken.
const ROWS: usize = 256;

/// An open database. Cloning is cheap; clones share the connections.
#[derive(Debug, Clone)]
pub struct Database {
    read: DatabaseConnection,
    write: DatabaseConnection,
}

impl Database {
    /// Opens the database. SQLite files are made when missing, with `WAL` and `synchronous=FULL`: what is committed is
    /// on disk. PostgreSQL is connected when first used, so a server that is still starting is no error here.
    pub async fn open(settings: &Settings) -> Result<Self, DbErr> {
        let url = settings.url.expose_secret();
        if settings.is_sqlite() {
            Self::open_sqlite(url, settings.acquire_timeout()).await
        } else {
            Self::open_postgres(url, settings)
        }
    }

    async fn open_sqlite(url: &str, acquire_timeout: Duration) -> Result<Self, DbErr> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(connection_error)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("cache_size", CACHE)
            .pragma("mmap_size", MAPPED)
            // Another process, such as `confab user add`, may hold the write lock for a moment.
            .busy_timeout(Duration::from_secs(5))
            // The thread that reads goes on while rows are taken, and need not wait in the middle of a page.
            .row_buffer_size(ROWS);
        if let Some(folder) = options.get_filename().parent() {
            make_private(folder).map_err(|error| {
                DbErr::Custom(format!("cannot make {}: {error}", folder.display()))
            })?;
        }
        // SQLite has one writer: the pool of one queues writers here, in order, instead of in busy loops.
        // A file cannot hang up: connections are not tried out before each use.
        let write = SqlitePoolOptions::new()
            .test_before_acquire(false)
            .max_connections(1)
            .acquire_timeout(acquire_timeout)
            .connect_with(options.clone())
            .await
            .map_err(connection_error)?;
        let read = SqlitePoolOptions::new()
            .test_before_acquire(false)
            .max_connections(4)
            .acquire_timeout(acquire_timeout)
            .connect_with(options)
            .await
            .map_err(connection_error)?;
        Ok(Self {
            read: SqlxSqliteConnector::from_sqlx_sqlite_pool(read),
            write: SqlxSqliteConnector::from_sqlx_sqlite_pool(write),
        })
    }

    fn open_postgres(url: &str, settings: &Settings) -> Result<Self, DbErr> {
        let timeout = settings.statement_timeout_ms.to_string();
        let options = PgConnectOptions::from_str(url).map_err(connection_error)?;
        let options = plain_on_this_machine(options)
            .application_name("confab")
            .options([
                ("statement_timeout", timeout.as_str()),
                // Whoever died in the middle of a transaction must not keep others from the rows that it locked.
                ("idle_in_transaction_session_timeout", timeout.as_str()),
                // Every statement reads few rows by an index, in its order. A planner without statistics, as it is right after
                // many messages, would rather read a whole thread and sort it, and keep a plan that was good for empty tables.
                ("random_page_cost", "1"),
                ("enable_bitmapscan", "off"),
                ("enable_seqscan", "off"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                // What has no index after all costs a lot now, which is no reason to compile it.
                ("jit", "off"),
                ("tcp_keepalives_idle", "15"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "3"),
            ]);
        let patience = settings.acquire_timeout();
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(patience)
            // A ping before each statement would double its way: one that answered a moment ago needs none.
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                let proven = state.idle_for <= PROVEN;
                Box::pin(async move { Ok(proven || answers(connection, LIVELY).await) })
            })
            // Before one is given back it is tried out without a limit, so that one which died in use would never be
            // replaced; what fails here is closed.
            .after_release(move |connection, _| {
                Box::pin(async move {
                    let free = tokio::time::timeout(patience, is_free(connection)).await;
                    Ok(free.unwrap_or(false))
                })
            })
            .connect_lazy_with(options);
        let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        Ok(Self {
            read: connection.clone(),
            write: connection,
        })
    }

    /// For statements that only read.
    #[must_use]
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// For a single statement that writes.
    #[must_use]
    pub fn write(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Begins a transaction that will write. On SQLite it has the write lock from its first moment, so it never fails
    /// halfway because somebody else wrote; on PostgreSQL it is READ COMMITTED, lock rows where it matters.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        self.write
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            })
            .await
    }

    /// Which of the two it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// Brings one service's tables up to date. Processes that do so at the same time wait for each other.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), DbErr> {
        if self.backend() != DbBackend::Postgres {
            return M::up(&self.write, None).await;
        }
        let lock = self.write.begin().await?;
        // It waits for the others, and then while the tables are changed on another connection.
        for setting in ["statement_timeout", "idle_in_transaction_session_timeout"] {
            lock.execute_unprepared(&format!("SET LOCAL {setting} = 0"))
                .await?;
        }
        lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            .await?;
        let migrated = M::up(&self.write, None).await;
        lock.rollback().await?;
        migrated
    }

    /// The migrations of one service that have not been applied yet.
    pub async fn pending<M: MigratorTrait>(&self) -> Result<Vec<String>, DbErr> {
        let pending = M::get_pending_migrations(&self.write).await?;
        Ok(pending
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect())
    }

    /// Waits for statements under way and closes all connections.
    pub async fn close(&self) -> Result<(), DbErr> {
        self.read.clone().close().await?;
        self.write.clone().close().await
    }
}

/// Whether the server at the other end is there.
async fn answers(connection: &mut PgConnection, patience: Duration) -> bool {
    let answer = tokio::time::timeout(patience, connection.ping()).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

/// Whether the server is there and no transaction is open; one that is, is rolled back.
///
/// With sqlx 0.9.0 a caller that goes away before its `BEGIN` is answered leaves the transaction open on a connection that
/// the next ones get (transact-rs/sqlx#4393): what they write is acknowledged, and gone when that connection ends. What
/// sqlx begins with an empty query is begun only if a transaction was open: it looks at what the server says of that.
async fn is_free(connection: &mut PgConnection) -> bool {
    match connection.begin_with("").await {
        Err(sqlx::Error::BeginFailed) => true,
        Ok(left_open) => left_open.rollback().await.is_ok(),
        Err(_) => false,
    }
}

/// Encrypts no connection that does not leave the machine, unless the URL asks for it. Nobody listens on the way, and sqlx
/// 0.9.0 leaves Nagle's algorithm on (transact-rs/sqlx#4335): a statement of more than one TLS record, 16 KiB, then waits
/// 40 ms for the server's delayed acknowledgement.
fn plain_on_this_machine(options: PgConnectOptions) -> PgConnectOptions {
    let host = options.get_host();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if here && matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
        return options.ssl_mode(PgSslMode::Disable);
    }
    options
}

/// Makes a folder that only its owner can look into: a database holds keys and what people said. One that is there
/// already is left as it is.
fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn connection_error(error: sqlx::Error) -> DbErr {
    DbErr::Conn(sea_orm::RuntimeErr::SqlxError(error.into()))
}
