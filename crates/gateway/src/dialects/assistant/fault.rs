//! Fault → the texts of this language. The texts are the contract; a front end shows them as they are.

use confab_rpc::{Fault, Reason};
use tonic::Status;

use super::wire::Kind;

/// What a request can fail with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    JsonParsing,
    UnknownMessage,
    JsonMarshal,
    UserDoesNotExist,
    LoadSession,
    ReceiveResponse,
    ModelAccess,
    LoadChats,
    DeleteSession,
    ModelList,
    Internal,
    InsufficientBalance,
    BalanceDetails,
}

/// Why a request was not answered: known here, or said by a service.
#[derive(Debug)]
pub(super) enum Problem {
    Failure(Failure),
    Fault(Fault),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::Fault(status.into())
    }
}

impl Problem {
    /// What the front end is told.
    pub(super) fn failure(self, kind: Kind) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::Fault(fault) => Failure::of_fault(kind, &fault),
        }
    }
}

impl Failure {
    /// The text on the wire.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::JsonParsing => "JSON Parsing Error",
            Self::UnknownMessage => "Unknown Message",
            Self::JsonMarshal => "JSON Marshal Error",
            Self::UserDoesNotExist => "User Does Not Exists",
            Self::LoadSession => "Unable to Load Session",
            Self::ReceiveResponse => "Unable to Receive Response To Query",
            Self::ModelAccess => "User Does Not Have Model Access",
            Self::LoadChats => "Unable to Load Chats",
            Self::DeleteSession => "Unable to Delete Session",
            Self::ModelList => "Unable to Generate AI Model List",
            Self::Internal => "Internal Server Error",
            Self::InsufficientBalance => "Insufficient balance",
            Self::BalanceDetails => "Unable to get balance details",
        }
    }

    /// How a request fails when nothing more precise can be said.
    fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Details | Kind::Sessions => Self::Internal,
            Kind::Chats => Self::LoadChats,
            Kind::Ask => Self::ReceiveResponse,
            Kind::Delete => Self::DeleteSession,
            Kind::Models => Self::ModelList,
            Kind::Balance => Self::BalanceDetails,
        }
    }

    /// How a request fails whose user there is not, or whose user id is none.
    pub(super) fn of_unknown_user(kind: Kind) -> Self {
        match kind {
            Kind::Details | Kind::Sessions => Self::UserDoesNotExist,
            Kind::Ask => Self::ModelAccess,
            Kind::Chats | Kind::Delete | Kind::Models | Kind::Balance => Self::of_kind(kind),
        }
    }

    /// How a request fails that a service refused. What is nobody's fault but ours is logged.
    fn of_fault(kind: Kind, fault: &Fault) -> Self {
        match fault.reason {
            Reason::UserNotFound => Self::of_unknown_user(kind),
            Reason::ModelNotFound | Reason::ModelNotGranted => Self::ModelAccess,
            Reason::BalanceInsufficient => Self::InsufficientBalance,
            Reason::ThreadNotFound if kind == Kind::Ask => Self::LoadSession,
            Reason::ThreadNotFound
            | Reason::AttachmentNotFound
            | Reason::ContextTooLong
            | Reason::Invalid
            | Reason::KeyReused
            | Reason::MessageNotFound
            | Reason::ProviderFailed
            | Reason::ProviderRefused
            | Reason::RunCancelled
            | Reason::RunInterrupted
            | Reason::RunLimit => Self::of_kind(kind),
            // These cannot come from a well-meant request.
            Reason::Unspecified
            | Reason::Internal
            | Reason::Overloaded
            | Reason::UsernameTaken
            | Reason::UserIdTaken
            | Reason::TokenInvalid
            | Reason::TokenExpired
            | Reason::EmailTaken
            | Reason::CredentialsWrong
            | Reason::Throttled
            | Reason::RegistrationClosed
            | Reason::ReceiverInvalid
            | Reason::QuotaExceeded
            | Reason::ReservationNotFound
            | Reason::StaleWrite
            | Reason::AttachmentTooLarge
            | Reason::SignatureInvalid
            | Reason::StorageFull
            | Reason::ApiKeyNotFound
            | Reason::BudgetExceeded
            | Reason::RunNotFound => {
                tracing::warn!(?kind, %fault, "a request failed");
                Self::of_kind(kind)
            }
        }
    }
}
