//! Section `[threads]`.

use serde::Deserialize;

/// What the threads service can be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where threads, members and messages are kept.
    pub database: confab_database::Settings,
    /// Tasks that commit what people send, each on a connection of its own. SQLite has one, whatever this says.
    pub writers: usize,
}

/// What is wrong with this section.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The database's part.
    #[error(transparent)]
    Database(#[from] confab_database::SettingsError),
    /// More than the database has connections for, or none.
    #[error("writers must be at least 1 and fewer than database.max_connections")]
    Writers,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()?;
        let connections = usize::try_from(self.database.max_connections).unwrap_or(usize::MAX);
        if self.writers == 0 || self.writers >= connections {
            return Err(SettingsError::Writers);
        }
        Ok(())
    }
}
