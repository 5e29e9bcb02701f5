//! Why an ask was refused or failed, and how each reason travels.

use confab_rpc::{Fault, Reason};
use sea_orm::DbErr;
use tonic::Status;

use crate::store::Failure;

/// Why an ask was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("there is no such model")]
    ModelNotFound,
    #[error("the user may not ask this model")]
    ModelNotGranted,
    #[error("there is no such user")]
    UserNotFound,
    #[error("the balance is used up")]
    BalanceInsufficient,
    #[error("too many answers are under way")]
    RunLimit,
    #[error("there is no such thread")]
    ThreadNotFound,
    #[error("there is no such run")]
    RunNotFound,
    #[error("there is no such API key")]
    ApiKeyNotFound,
    #[error("there is no such attachment in this thread")]
    AttachmentNotFound,
    #[error("the key was used before for another question")]
    KeyReused,
    #[error("the question is too long for the model")]
    ContextTooLong,
    #[error("the run's token is unknown or its run is over")]
    TokenInvalid,
    /// The run failed, now or when it was asked for first.
    #[error("the run failed: {0:?}")]
    Failed(Failure),
    /// Another process ended the run, or will.
    #[error("the run was interrupted")]
    Interrupted,
    /// Another service said no.
    #[error("{0}")]
    Refused(#[from] Fault),
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Error {
    /// Whether the same step may work in a moment. Callers bound how often they try.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Refused(fault) => {
                matches!(fault.reason, Reason::Overloaded | Reason::Internal)
            }
            Self::Database(_) => true,
            _ => false,
        }
    }

    /// What another service's refusal was about, if it was one.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(fault) => Some(fault.reason),
            _ => None,
        }
    }

    /// What the caller is told.
    pub(crate) fn fault(&self) -> Fault {
        let reason = match self {
            Self::Refused(fault) => return fault.clone(),
            Self::Database(error) if confab_database::is_unavailable(error) => {
                tracing::warn!(%error, "the database is away or has no free connection");
                Reason::Overloaded
            }
            Self::Database(error) => {
                tracing::error!(%error, "the database failed");
                Reason::Internal
            }
            Self::Failed(failure) => return fault_of(*failure),
            Self::Invalid(_) => Reason::Invalid,
            Self::ModelNotFound => Reason::ModelNotFound,
            Self::ModelNotGranted => Reason::ModelNotGranted,
            Self::UserNotFound => Reason::UserNotFound,
            Self::BalanceInsufficient => Reason::BalanceInsufficient,
            Self::RunLimit => Reason::RunLimit,
            Self::ThreadNotFound => Reason::ThreadNotFound,
            Self::RunNotFound => Reason::RunNotFound,
            Self::ApiKeyNotFound => Reason::ApiKeyNotFound,
            Self::AttachmentNotFound => Reason::AttachmentNotFound,
            Self::KeyReused => Reason::KeyReused,
            Self::ContextTooLong => Reason::ContextTooLong,
            Self::TokenInvalid => Reason::TokenInvalid,
            Self::Interrupted => Reason::RunInterrupted,
        };
        Fault::new(reason, self.to_string())
    }
}

/// The same sentence whenever the run is asked for: what the provider said stays in the log.
fn fault_of(failure: Failure) -> Fault {
    let sentence = match failure {
        Failure::NoMoney => "the agent found the balance too small",
        Failure::ThreadGone => "the thread was removed",
        Failure::TooLong => "the prompt is too long for the model",
        Failure::Provider => "the model's provider failed",
        Failure::Interrupted => "the run was interrupted",
        Failure::Cancelled => "the run was cancelled",
    };
    Fault::new(failure.into(), sentence)
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.fault().into()
    }
}
