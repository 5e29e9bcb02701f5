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
    /// Passwords cannot be hashed.
    #[error("passwords cannot be hashed: {0}")]
    Passwords(#[from] argon2::password_hash::Error),
    /// The cost of hashing passwords is none.
    #[error("passwords cannot be hashed: {0}")]
    PasswordCost(#[from] argon2::Error),
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
    #[error("this e-mail address is taken")]
    EmailTaken,
    #[error("the name and the password do not belong together")]
    CredentialsWrong,
    #[error("too many attempts; wait {0} seconds")]
    Throttled(u64),
    #[error("users are made by the operator here")]
    RegistrationClosed,
    #[error("the user may not ask this model")]
    ModelNotGranted,
    #[error("the balance is too small")]
    BalanceInsufficient,
    #[error("the budget of the API key is used up")]
    BudgetExceeded,
    #[error("there is no such API key, or it is no longer good")]
    ApiKeyNotFound,
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
    #[error("the machine gave no randomness")]
    NoRandomness,
    #[error("a password could not be hashed")]
    Hashing(#[source] argon2::password_hash::Error),
    #[error("what is kept of a password cannot be read")]
    UnreadableHash,
    #[error("too much waits to be booked; try again in a moment")]
    Busy,
    #[error("the process is coming to its end")]
    Interrupted,
    #[error("the counter of revocations is missing")]
    NoCounter,
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
            Self::EmailTaken => Reason::EmailTaken,
            Self::CredentialsWrong => Reason::CredentialsWrong,
            Self::Throttled(_) => Reason::Throttled,
            Self::RegistrationClosed => Reason::RegistrationClosed,
            Self::ModelNotGranted => Reason::ModelNotGranted,
            Self::BalanceInsufficient => Reason::BalanceInsufficient,
            Self::BudgetExceeded => Reason::BudgetExceeded,
            Self::ApiKeyNotFound => Reason::ApiKeyNotFound,
            Self::RunLimit => Reason::RunLimit,
            Self::ReservationNotFound => Reason::ReservationNotFound,
            Self::TokenInvalid => Reason::TokenInvalid,
            Self::TokenExpired => Reason::TokenExpired,
            Self::IssuerUnavailable | Self::Interrupted | Self::Busy => Reason::Overloaded,
            Self::Database(error) if confab_database::is_unavailable(error) => Reason::Overloaded,
            Self::Database(_)
            | Self::Signing(_)
            | Self::UsernamesExhausted
            | Self::NoRandomness
            | Self::Hashing(_)
            | Self::UnreadableHash
            | Self::NoCounter => Reason::Internal,
        }
    }
}

/// The cause of a failure of ours is logged here and goes no further.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let reason = error.reason();
        match &error {
            Error::Database(cause) if confab_database::is_unavailable(cause) => {
                tracing::warn!(%cause, "the database is away or has no free connection");
            }
            Error::Database(cause) => tracing::error!(%cause, "{error}"),
            Error::Signing(cause) => tracing::error!(%cause, "{error}"),
            Error::Hashing(cause) => tracing::error!(%cause, "{error}"),
            Error::UsernamesExhausted
            | Error::NoRandomness
            | Error::UnreadableHash
            | Error::NoCounter => tracing::error!("{error}"),
            _ => {}
        }
        let fault = Fault::new(reason, error.to_string());
        match error {
            Error::Throttled(seconds) => fault.with_limit(seconds).into(),
            _ => fault.into(),
        }
    }
}
