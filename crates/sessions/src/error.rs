//! Why the service does not open or refuses a call, and what the caller is told.

use confab_rpc::{Fault, Reason};
use sea_orm::DbErr;
use tonic::Status;

/// Why the service did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tables cannot be read or written.
    #[error("the sessions database: {0}")]
    Database(#[from] DbErr),
    /// The machine gave no randomness.
    #[error("no signing key could be made")]
    KeyGeneration(#[from] aws_lc_rs::error::Unspecified),
    /// What the database holds is no key.
    #[error("the signing key cannot be used: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
    /// The public keys cannot be written down.
    #[error("the set of public keys: {0}")]
    KeySet(#[from] serde_json::Error),
    /// A key was kept and is gone again.
    #[error("there is no signing key")]
    NoKey,
    /// Nothing can fetch the keys of an outside issuer.
    #[error("no HTTP client for the OpenID Connect issuer: {0}")]
    HttpClient(#[from] reqwest::Error),
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("there is no such user")]
    UserNotFound,
    #[error("this username is taken")]
    UsernameTaken,
    #[error("this user id is taken")]
    UserIdTaken,
    #[error("the user may not ask this model")]
    ModelNotGranted,
    #[error("the balance is too small")]
    BalanceInsufficient,
    #[error("the user has as many runs under way as this caller allows")]
    RunLimit,
    #[error("nothing was reserved for this run")]
    ReservationNotFound,
    #[error("the token is not valid")]
    TokenInvalid,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the keys of the token's issuer cannot be fetched")]
    IssuerUnavailable,
    #[error("no free username was found")]
    UsernamesExhausted,
    #[error("the token could not be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::Invalid,
            Self::UserNotFound => Reason::UserNotFound,
            Self::UsernameTaken => Reason::UsernameTaken,
            Self::UserIdTaken => Reason::UserIdTaken,
            Self::ModelNotGranted => Reason::ModelNotGranted,
            Self::BalanceInsufficient => Reason::BalanceInsufficient,
            Self::RunLimit => Reason::RunLimit,
            Self::ReservationNotFound => Reason::ReservationNotFound,
            Self::TokenInvalid => Reason::TokenInvalid,
            Self::TokenExpired => Reason::TokenExpired,
            Self::IssuerUnavailable => Reason::Overloaded,
            Self::Database(error) if confab_database::is_unavailable(error) => Reason::Overloaded,
            Self::Database(_) | Self::Signing(_) | Self::UsernamesExhausted => Reason::Internal,
        }
    }
}

/// The cause of a failure of ours is logged here and goes no further.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let reason = error.reason();
        match &error {
            Error::Database(cause) => tracing::error!(%cause, "{error}"),
            Error::Signing(cause) => tracing::error!(%cause, "{error}"),
            Error::UsernamesExhausted => tracing::error!("{error}"),
            _ => {}
        }
        Fault::new(reason, error.to_string()).into()
    }
}
