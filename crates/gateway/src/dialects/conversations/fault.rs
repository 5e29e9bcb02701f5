//! Why a request is refused, and the envelope that says so.

use actix_web::HttpResponse;
use actix_web::error::InternalError;
use actix_web::http::{StatusCode, header};
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::caller::{Refusal, unavailable};

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    /// The name of the error, which programs compare.
    kind: &'static str,
    /// For people.
    message: String,
    /// When to come back, in seconds.
    retry_after: Option<u64>,
}

/// The envelope of a refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed<'a> {
    error: Told<'a>,
}

#[derive(Serialize, ToSchema)]
struct Told<'a> {
    /// Empty; in a stream `null`.
    code: Option<&'a str>,
    message: &'a str,
    /// Empty; in a stream `null`.
    param: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// What a request of somebody who is known may be refused with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only documentation is made of it")]
pub(super) enum Refusals {
    /// A good token is needed (token mode)
    #[response(status = 401)]
    Unauthorized(#[to_schema] Failed<'static>),
    /// A page that may not connect, or something that is not granted
    #[response(status = 403)]
    Forbidden(#[to_schema] Failed<'static>),
    /// Our fault
    #[response(status = 500)]
    Server(#[to_schema] Failed<'static>),
    /// Come back after `Retry-After`
    #[response(status = 503)]
    Away(#[to_schema] Failed<'static>),
}

/// What a request of somebody who is not known yet may be refused with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only documentation is made of it")]
pub(super) enum Strange {
    /// A page that may not connect, or nobody may register here
    #[response(status = 403)]
    Forbidden(#[to_schema] Failed<'static>),
    /// Our fault
    #[response(status = 500)]
    Server(#[to_schema] Failed<'static>),
    /// Come back after `Retry-After`
    #[response(status = 503)]
    Away(#[to_schema] Failed<'static>),
}

/// What a request that names something may be refused with besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only documentation is made of it")]
pub(super) enum Unfound {
    /// What was sent is not what this takes
    #[response(status = 400)]
    BadInput(#[to_schema] Failed<'static>),
    /// There is no such thing, or it is not the caller's
    #[response(status = 404)]
    NotFound(#[to_schema] Failed<'static>),
}

/// What a request with a body may be refused with besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only documentation is made of it")]
pub(super) enum Unread {
    /// What was sent is not what this takes
    #[response(status = 400)]
    BadInput(#[to_schema] Failed<'static>),
    /// The body is too long
    #[response(status = 413)]
    TooLarge(#[to_schema] Failed<'static>),
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn bad_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadInputError", message)
    }

    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SyntaxError", message)
    }

    /// There is none, or it is somebody else's: nobody can tell which.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Error", format!("{what} not found"))
    }

    pub(super) fn origin() -> Self {
        let text = "this page may not connect";
        Self::new(StatusCode::FORBIDDEN, "ForbiddenError", text)
    }

    pub(super) fn scope() -> Self {
        let text = "the API key is not made for conversations";
        Self::new(StatusCode::FORBIDDEN, "ForbiddenError", text)
    }

    pub(super) fn method() -> Self {
        let text = "this cannot be done here";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodError", text)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let text = format!("the body is longer than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeError", text)
    }

    /// The model's provider failed, or what stands for it here.
    pub(super) fn provider(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "ProviderError", message)
    }

    fn away() -> Self {
        let text = "the service is busy or away";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UnavailableError", text)
    }

    fn server() -> Self {
        let text = "the service failed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ServerError", text)
    }

    fn unauthorized() -> Self {
        let text = "a good token is needed";
        Self::new(StatusCode::UNAUTHORIZED, "UnauthorizedError", text)
    }

    /// As an event of a stream, where no status can be said any more.
    pub(super) fn event(&self) -> String {
        json(&Failed {
            error: Told {
                code: None,
                message: &self.message,
                param: None,
                kind: self.kind,
            },
        })
    }
}

/// What is written here always becomes JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::unauthorized(),
            Refusal::Away => Self::away(),
        }
    }
}

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        Fault::from(status).into()
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault.reason {
            Reason::Invalid | Reason::ContextTooLong => Self::bad_input(fault.message),
            Reason::UserNotFound => Self::not_found("User"),
            Reason::ThreadNotFound => Self::not_found("Conversation"),
            Reason::MessageNotFound => Self::not_found("Message"),
            Reason::RunNotFound => Self::not_found("Run"),
            Reason::UsernameTaken => {
                let text = "somebody has this name already";
                Self::new(StatusCode::CONFLICT, "ConflictError", text)
            }
            Reason::KeyReused => {
                let text = "the key was used for something else";
                Self::new(StatusCode::CONFLICT, "ConflictError", text)
            }
            Reason::RunCancelled => {
                let text = "the answer was stopped";
                Self::new(StatusCode::CONFLICT, "CancelledError", text)
            }
            // As this language says it; whether the name or the password is wrong is not told.
            Reason::CredentialsWrong => Self::bad_input("wrong name or password"),
            Reason::RegistrationClosed | Reason::ModelNotGranted => {
                Self::new(StatusCode::FORBIDDEN, "ForbiddenError", fault.message)
            }
            Reason::BalanceInsufficient | Reason::BudgetExceeded => {
                let text = fault.message;
                Self::new(StatusCode::PAYMENT_REQUIRED, "PaymentRequiredError", text)
            }
            Reason::RunLimit | Reason::Throttled => Self {
                retry_after: Some(fault.limit.unwrap_or(1)),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "TooManyRequestsError",
                    fault.message,
                )
            },
            Reason::TokenInvalid | Reason::TokenExpired | Reason::ApiKeyNotFound => {
                Self::unauthorized()
            }
            Reason::ProviderFailed => Self::provider("the model's provider failed"),
            Reason::ProviderRefused => Self::provider("the model's provider refused the request"),
            Reason::RunInterrupted => Self::provider("the answer was cut off"),
            Reason::Overloaded => {
                tracing::warn!(%fault, "a request failed");
                Self::away()
            }
            _ => {
                tracing::error!(%fault, "a request failed");
                Self::server()
            }
        }
    }
}

impl From<Problem> for HttpResponse {
    fn from(problem: Problem) -> Self {
        let mut response = match problem.status {
            StatusCode::UNAUTHORIZED => Refusal::Unauthorized.response(),
            StatusCode::SERVICE_UNAVAILABLE => unavailable(),
            status => HttpResponse::build(status),
        };
        if let Some(seconds) = problem.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        response.json(Failed {
            error: Told {
                code: Some(""),
                message: &problem.message,
                param: Some(""),
                kind: problem.kind,
            },
        })
    }
}

/// How a handler refuses with `?`.
impl From<Problem> for actix_web::Error {
    fn from(problem: Problem) -> Self {
        InternalError::from_response("refused", problem.into()).into()
    }
}
