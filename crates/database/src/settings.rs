//! Section `[<service>.database]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Where a service keeps its rows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `sqlite:FILE` or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: SecretString,
    /// Connections to PostgreSQL, at most. SQLite has one writer and four readers.
    pub max_connections: u32,
    /// How long a request waits for a free connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// How long PostgreSQL works on one statement before it gives up, and how long it keeps a transaction that nobody goes
    /// on with, in milliseconds; 0: for ever.
    pub statement_timeout_ms: u64,
}

/// What is wrong with a database URL.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Another scheme than the two.
    #[error("the database URL must start with sqlite: or postgres://")]
    Scheme,
    /// Too few connections: a migration holds one while it works on another.
    #[error("max_connections must be at least 2")]
    TooFewConnections,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let url = self.url.expose_secret();
        let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !postgres && !self.is_sqlite() {
            return Err(SettingsError::Scheme);
        }
        if self.max_connections < 2 {
            return Err(SettingsError::TooFewConnections);
        }
        Ok(())
    }

    /// Whether this is a file that only one process can serve.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.url.expose_secret().starts_with("sqlite:")
    }

    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }
}
