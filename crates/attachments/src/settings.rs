//! Section `[attachments]`.

use std::path::PathBuf;

use serde::Deserialize;

const MIB: u64 = 1024 * 1024;

/// Where files are kept and how large they may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where what is known of the files is kept.
    pub database: confab_database::Settings,
    /// Where the bytes are kept; made when missing. Replicas share it.
    pub directory: PathBuf,
    /// The largest file, in MiB.
    pub max_file_mib: u32,
}

/// What is wrong with the settings of attachments.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The database cannot be used.
    #[error("attachments.database: {0}")]
    Database(#[from] confab_database::SettingsError),
    /// No directory.
    #[error("attachments.directory is empty")]
    NoDirectory,
    /// No file would be small enough.
    #[error("attachments.max_file_mib must be at least 1")]
    NoSize,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()?;
        if self.directory.as_os_str().is_empty() {
            return Err(SettingsError::NoDirectory);
        }
        if self.max_file_mib == 0 {
            return Err(SettingsError::NoSize);
        }
        Ok(())
    }

    /// The largest file, in bytes.
    pub(crate) fn max_file_bytes(&self) -> u64 {
        u64::from(self.max_file_mib) * MIB
    }
}
