//! Why a search is refused or failed, and what the caller gets to see of it.

use confab_rpc::{Fault, Reason};
use sea_orm::DbErr;
use tonic::Status;

/// Why a search is refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("there is no such thread")]
    ThreadNotFound,
    /// The model does not take this text; others it may.
    #[error("no vector can be made of the query")]
    TextRefused,
    /// The model or its provider is away or busy.
    #[error("vectors cannot be made now")]
    NoVectors(#[source] Fault),
    /// There is no such model, or it makes no vectors.
    #[error("the search service failed")]
    Model(String),
    /// As many vectors as texts, all of one length: that is not what came.
    #[error("the search service failed")]
    Vectors,
    /// Another service failed.
    #[error("{0}")]
    Refused(#[from] Fault),
    #[error("the search service failed")]
    Database(#[from] DbErr),
}

impl Error {
    /// Whether the thread is gone, or was never the user's.
    pub(crate) fn is_thread_not_found(&self) -> bool {
        match self {
            Self::ThreadNotFound => true,
            Self::Refused(fault) => fault.reason == Reason::ThreadNotFound,
            _ => false,
        }
    }
}

/// The cause of a failure of ours is logged here and goes no further.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::Refused(fault) => return fault.clone(),
            Error::Invalid(_) | Error::TextRefused => Reason::Invalid,
            Error::ThreadNotFound => Reason::ThreadNotFound,
            Error::NoVectors(cause) => {
                tracing::warn!(%cause, "vectors cannot be made");
                Reason::Overloaded
            }
            Error::Model(model) => {
                tracing::error!(
                    model,
                    "completions.models has no such model that makes vectors, which search needs"
                );
                Reason::Internal
            }
            Error::Vectors => {
                tracing::error!("the embedding model made other vectors than it was asked for");
                Reason::Internal
            }
            Error::Database(cause) if confab_database::is_unavailable(cause) => {
                tracing::warn!(%cause, "the search database is away or has no free connection");
                Reason::Overloaded
            }
            Error::Database(cause) => {
                tracing::error!(%cause, "the search database failed");
                Reason::Internal
            }
        };
        Self::new(reason, error.to_string())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
    }
}
