//! Why a call is refused, and how a caller learns of it.

use std::io;
use std::path::PathBuf;

use confab_rpc::{Fault, Reason};
use sea_orm::DbErr;
use tonic::Status;

/// Why the service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory for the files cannot be made or written.
    #[error("cannot keep files in {}: {source}", directory.display())]
    Directory {
        /// The directory of the settings.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The bucket cannot be written.
    #[error("cannot keep files in the bucket {bucket}: {source}")]
    Bucket {
        /// The bucket of the settings.
        bucket: String,
        /// What the store says.
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The system gives no randomness for the secret that signs links.
    #[error("no secret for links: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What the caller sent cannot be accepted.
    #[error("{0}")]
    Invalid(&'static str),
    /// There is no such file, or the caller may not see it.
    #[error("there is no such attachment")]
    NotFound,
    /// The file has more bytes than the settings allow.
    #[error("the file is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The owner's files would take more than the settings allow.
    #[error("the user's files would take more than {limit} bytes")]
    QuotaExceeded { limit: u64 },
    /// The sender of an upload brings too little.
    #[error("the upload is too slow")]
    TooSlow,
    /// The link was not made here, or its time is over.
    #[error("the link is not valid or has expired")]
    SignatureInvalid,
    /// The upload broke off on its way here.
    #[error("the upload broke off")]
    Interrupted(#[source] Status),
    /// There is no room on the disk, or none left for this process.
    #[error("there is no room for the file")]
    StorageFull(#[source] io::Error),
    /// The disk or the bucket failed.
    #[error("the file could not be read or written")]
    Disk(#[source] io::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull(error),
            _ => Self::Disk(error),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Invalid(_) | Error::Interrupted(_) | Error::TooSlow => Reason::Invalid,
            Error::NotFound => Reason::AttachmentNotFound,
            Error::TooLarge { .. } => Reason::AttachmentTooLarge,
            Error::QuotaExceeded { .. } => Reason::QuotaExceeded,
            Error::SignatureInvalid => Reason::SignatureInvalid,
            Error::StorageFull(cause) => {
                tracing::error!(%cause, "the disk is full");
                Reason::StorageFull
            }
            Error::Disk(cause) => {
                tracing::error!(%cause, "the disk or the bucket failed");
                Reason::Internal
            }
            Error::Database(cause) => database(cause),
        };
        let fault = Fault::new(reason, error.to_string());
        match error {
            Error::TooLarge { limit } | Error::QuotaExceeded { limit } => {
                fault.with_limit(limit).into()
            }
            _ => fault.into(),
        }
    }
}

fn database(cause: &DbErr) -> Reason {
    if confab_database::is_unavailable(cause) {
        tracing::warn!(%cause, "the database is away or has no free connection");
        return Reason::Overloaded;
    }
    tracing::error!(%cause, "the database failed");
    Reason::Internal
}
