//! Section `[threads]`.

use confab_database::SettingsError;
use serde::Deserialize;

/// What the threads service can be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where threads, members and messages are kept.
    pub database: confab_database::Settings,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()
    }
}
