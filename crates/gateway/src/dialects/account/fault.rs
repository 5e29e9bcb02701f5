//! Why a request fails, in this language.

use actix_web::HttpResponse;
use actix_web::error::InternalError;
use actix_web::http::{StatusCode, header};
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{Refusal, unavailable};

/// A failed request.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed<'a> {
    error: Told<'a>,
}

/// Why it failed.
#[derive(Serialize, ToSchema)]
struct Told<'a> {
    /// For programs; does not change.
    code: &'a str,
    /// For people; may change.
    message: &'a str,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    /// For programs; does not change.
    code: &'static str,
    /// For people.
    message: String,
    /// When to come back, in seconds.
    retry_after: Option<u64>,
}

impl Refused {
    pub(super) const METHOD: Self = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    pub(super) const ORIGIN: Self = Self::new(StatusCode::FORBIDDEN, "origin_not_allowed");
    pub(super) const TOO_LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
    pub(super) const CUT_OFF: Self = Self::new(StatusCode::BAD_REQUEST, "body_cut_off");
    pub(super) const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal");
    const AWAY: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable");

    const fn new(status: StatusCode, code: &'static str) -> Self {
        Self {
            status,
            code,
            message: String::new(),
            retry_after: None,
        }
    }

    fn saying(self, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..self
        }
    }

    /// What was sent is not what this request takes.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request").saying(message)
    }

    fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code).saying(message)
    }

    /// What a person is told where nothing more is known.
    fn text(&self) -> &str {
        if self.message.is_empty() {
            return self.status.canonical_reason().unwrap_or(self.code);
        }
        &self.message
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::unauthorized("token_invalid", "a good token is needed"),
            Refusal::Away => Self::AWAY,
        }
    }
}

impl From<tonic::Status> for Refused {
    fn from(status: tonic::Status) -> Self {
        Self::from(Fault::from(status))
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let conflict = |code| Self::new(StatusCode::CONFLICT, code);
        match fault.reason {
            Reason::Invalid => Self::invalid(fault.message),
            Reason::UsernameTaken => conflict("username_taken").saying(fault.message),
            Reason::EmailTaken => conflict("email_taken").saying(fault.message),
            Reason::CredentialsWrong => Self::unauthorized("credentials_wrong", fault.message),
            Reason::TokenExpired => Self::unauthorized("token_expired", fault.message),
            Reason::TokenInvalid | Reason::UserNotFound => {
                Self::unauthorized("token_invalid", "a good token is needed")
            }
            Reason::RegistrationClosed => {
                Self::new(StatusCode::FORBIDDEN, "registration_closed").saying(fault.message)
            }
            Reason::ModelNotGranted => {
                Self::new(StatusCode::FORBIDDEN, "model_not_granted").saying(fault.message)
            }
            Reason::ApiKeyNotFound => {
                Self::new(StatusCode::NOT_FOUND, "key_not_found").saying("there is no such key")
            }
            Reason::Throttled => Self {
                retry_after: Some(fault.limit.unwrap_or(1)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled").saying(fault.message)
            },
            Reason::Overloaded => {
                tracing::warn!(%fault, "a request about an account failed");
                Self::AWAY
            }
            // No other reason comes from what is asked here.
            _ => {
                tracing::warn!(%fault, "a request about an account failed");
                Self::INTERNAL
            }
        }
    }
}

impl From<Refused> for HttpResponse {
    fn from(refused: Refused) -> Self {
        let mut response = match refused.status {
            StatusCode::UNAUTHORIZED => Refusal::Unauthorized.response(),
            StatusCode::SERVICE_UNAVAILABLE => unavailable(),
            status => HttpResponse::build(status),
        };
        if let Some(seconds) = refused.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        let error = Told {
            code: refused.code,
            message: refused.text(),
        };
        response.json(Failed { error })
    }
}

/// How a handler refuses with `?`.
impl From<Refused> for actix_web::Error {
    fn from(refused: Refused) -> Self {
        InternalError::from_response("refused", refused.into()).into()
    }
}
