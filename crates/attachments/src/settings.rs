//! Section `[attachments]`.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

const MIB: u64 = 1024 * 1024;
/// What the parts of one object can hold.
const MAX_OBJECT_MIB: u32 = 50_000;

/// Where files are kept and how large they may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where what is known of the files is kept.
    pub database: confab_database::Settings,
    /// What keeps the bytes.
    pub store: Place,
    /// Where files are kept; made when missing. Replicas share it.
    pub directory: PathBuf,
    /// The largest file, in MiB.
    pub max_file_mib: u32,
    /// What the files of one user may take together, in MiB; 0: no limit.
    pub quota_mib: u32,
    /// What the sender of an upload has to bring, averaged over 30 seconds of waiting for it; 0: anything.
    pub min_upload_bytes_per_second: u32,
    /// The bucket.
    pub s3: S3,
}

/// What keeps the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A directory.
    Files,
    /// A bucket of S3 or of something that speaks like it.
    S3,
}

/// A bucket and how to reach it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// Its name. It exists already.
    pub bucket: String,
    /// A URL; empty: Amazon's of the region.
    pub endpoint: String,
    /// What requests are signed for.
    pub region: String,
    /// Whose requests they are; empty: those of the machine's role.
    pub access_key_id: String,
    /// What they are signed with.
    pub secret_access_key: SecretString,
    /// Whether the endpoint may be reached without TLS.
    pub allow_http: bool,
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
    /// No bucket.
    #[error("attachments.s3.bucket is empty, and attachments.store is \"s3\"")]
    NoBucket,
    /// Amazon's endpoints have regions.
    #[error("attachments.s3.region is empty")]
    NoRegion,
    /// Half of a credential.
    #[error(
        "attachments.s3.access_key_id and attachments.s3.secret_access_key go together or not at all"
    )]
    HalfCredential,
    /// Bytes and credentials would travel in the open.
    #[error(
        "attachments.s3.endpoint is without TLS, which attachments.s3.allow_http does not allow"
    )]
    NoTls,
    /// More than fits into an object.
    #[error("attachments.max_file_mib must be at most 50000 with attachments.store \"s3\"")]
    TooLargeForS3,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()?;
        if self.max_file_mib == 0 {
            return Err(SettingsError::NoSize);
        }
        match self.store {
            Place::Files if self.directory.as_os_str().is_empty() => {
                Err(SettingsError::NoDirectory)
            }
            Place::Files => Ok(()),
            Place::S3 if self.max_file_mib > MAX_OBJECT_MIB => Err(SettingsError::TooLargeForS3),
            Place::S3 => self.s3.validate(),
        }
    }

    /// The largest file, in bytes.
    pub(crate) fn max_file_bytes(&self) -> u64 {
        u64::from(self.max_file_mib) * MIB
    }

    /// What the files of one user may take together, in bytes, if that is limited.
    pub(crate) fn quota_bytes(&self) -> Option<u64> {
        (self.quota_mib > 0).then(|| u64::from(self.quota_mib) * MIB)
    }
}

impl S3 {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.bucket.is_empty() {
            return Err(SettingsError::NoBucket);
        }
        if self.region.is_empty() {
            return Err(SettingsError::NoRegion);
        }
        if self.access_key_id.is_empty() != self.secret_access_key.expose_secret().is_empty() {
            return Err(SettingsError::HalfCredential);
        }
        if self.endpoint.starts_with("http:") && !self.allow_http {
            return Err(SettingsError::NoTls);
        }
        Ok(())
    }
}
