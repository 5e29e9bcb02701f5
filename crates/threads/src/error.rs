//! Why a call is refused, and what the caller gets to see of it.

use confab_rpc::{Fault, Reason};
use sea_orm::DbErr;
use tonic::Status;

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such thread, or the user is no member of it.
    #[error("there is no such thread")]
    ThreadNotFound,
    /// There is no such message, or it is not this run's answer.
    #[error("there is no such message")]
    MessageNotFound,
    /// The `client_msg_id` or the run stands for another message already, or for one that was deleted.
    #[error("this key was used before, for another message or one that was deleted")]
    KeyReused,
    /// Somebody wrote after what the caller knows.
    #[error("a later write came before this one")]
    StaleWrite,
    /// A message to oneself, or to what is no user.
    #[error("there is no such receiver")]
    ReceiverInvalid,
    /// What was sent cannot be accepted; the text says why and quotes none of it.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let reason = match &error {
            Error::ThreadNotFound => Reason::ThreadNotFound,
            Error::MessageNotFound => Reason::MessageNotFound,
            Error::KeyReused => Reason::KeyReused,
            Error::StaleWrite => Reason::StaleWrite,
            Error::ReceiverInvalid => Reason::ReceiverInvalid,
            Error::Invalid(_) => Reason::Invalid,
            Error::Database(cause) => return database(cause),
        };
        Self::new(reason, error.to_string())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Fault::from(error).into()
    }
}

fn database(cause: &DbErr) -> Fault {
    if confab_database::is_unavailable(cause) {
        tracing::warn!(%cause, "the threads database is away or has no free connection");
        return Fault::new(Reason::Overloaded, "the threads database is busy or away");
    }
    tracing::error!(%cause, "the threads database failed");
    Fault::new(Reason::Internal, "the threads service failed")
}
