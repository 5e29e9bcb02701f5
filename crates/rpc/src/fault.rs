//! Why a call was refused, in a form that survives the trip through a gRPC status.

use std::error::Error;
use std::fmt;

use prost::Message;
use tonic::{Code, Status};

use crate::Reason;
use crate::generated::confab::fault::v1 as wire;

/// Why a call was refused: a stable [`Reason`] for programs, a sentence for developers.
///
/// Services turn their errors into a `Fault` and that into a [`Status`]; callers get it back with
/// `Fault::from(&status)`. The message never holds a secret, another user's data or message text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What a program compares.
    pub reason: Reason,
    /// What a developer reads.
    pub message: String,
    /// The limit that was exceeded, where the reason is about one (bytes of an attachment).
    pub limit: Option<u64>,
}

impl Fault {
    /// A fault with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            limit: None,
        }
    }

    /// The same fault, naming the limit that was exceeded.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// How the transport should treat it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.reason {
            Reason::Unspecified | Reason::Internal => Code::Internal,
            Reason::Invalid
            | Reason::ContextTooLong
            | Reason::ReceiverInvalid
            | Reason::ProviderRefused => Code::InvalidArgument,
            Reason::Overloaded | Reason::ProviderFailed => Code::Unavailable,
            Reason::UserNotFound
            | Reason::ReservationNotFound
            | Reason::ThreadNotFound
            | Reason::MessageNotFound
            | Reason::AttachmentNotFound
            | Reason::ModelNotFound
            | Reason::ApiKeyNotFound
            | Reason::RunNotFound => Code::NotFound,
            Reason::UsernameTaken
            | Reason::EmailTaken
            | Reason::UserIdTaken
            | Reason::KeyReused => Code::AlreadyExists,
            Reason::TokenInvalid | Reason::TokenExpired | Reason::CredentialsWrong => {
                Code::Unauthenticated
            }
            Reason::ModelNotGranted | Reason::SignatureInvalid | Reason::RegistrationClosed => {
                Code::PermissionDenied
            }
            Reason::BalanceInsufficient | Reason::BudgetExceeded => Code::FailedPrecondition,
            Reason::RunLimit
            | Reason::Throttled
            | Reason::QuotaExceeded
            | Reason::AttachmentTooLarge
            | Reason::StorageFull => Code::ResourceExhausted,
            Reason::StaleWrite | Reason::RunInterrupted => Code::Aborted,
            Reason::RunCancelled => Code::Cancelled,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str_name(), self.message)
    }
}

impl Error for Fault {}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let code = fault.code();
        let message = fault.message.clone();
        let details = wire::Fault::from(fault).encode_to_vec();
        Status::with_details(code, message, details.into())
    }
}

/// As it travels inside a reply that answers several calls.
impl From<Fault> for wire::Fault {
    fn from(fault: Fault) -> Self {
        Self {
            reason: fault.reason.into(),
            limit: fault.limit.unwrap_or(0),
            message: fault.message,
        }
    }
}

impl From<wire::Fault> for Fault {
    fn from(fault: wire::Fault) -> Self {
        Self {
            reason: fault.reason(),
            limit: Some(fault.limit).filter(|limit| *limit > 0),
            message: fault.message,
        }
    }
}

/// A status that carries no fault came from the transport: away, late and broken off read as [`Reason::Overloaded`], the
/// rest as [`Reason::Internal`].
impl From<&Status> for Fault {
    fn from(status: &Status) -> Self {
        if !status.details().is_empty()
            && let Ok(fault) = wire::Fault::decode(status.details())
        {
            return fault.into();
        }
        let reason = match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => {
                Reason::Overloaded
            }
            Code::InvalidArgument | Code::OutOfRange => Reason::Invalid,
            // Not said by the service but made here of an error of the connection: it broke under the call.
            _ if status.source().is_some() => Reason::Overloaded,
            _ => Reason::Internal,
        };
        Fault::new(reason, status.message())
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}
