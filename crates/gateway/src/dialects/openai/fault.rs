//! Why a request fails, in this language: OpenAI's statuses, types and codes, which its SDKs turn into exceptions.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{Refusal, Scope};
use crate::limits::Exceeded;

/// Tells the SDKs whether another attempt may help. Left alone they repeat 408, 409, 429 and 5xx.
const SHOULD_RETRY: &str = "x-should-retry";

const RETRY_AFTER_MS: &str = "retry-after-ms";

/// When to come back to what is busy or away.
const PAUSE: Duration = Duration::from_secs(2);

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    error: Error,
    /// When another attempt may help; none: as the SDKs think.
    wait: Option<Duration>,
    /// The same request would fail again, although its status looks as if it might not.
    in_vain: bool,
}

/// As it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Failed {
    error: Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Error {
    /// For people.
    message: String,
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// The part of the request that is meant.
    param: Option<String>,
    /// For programs.
    #[schema(value_type = Option<String>)]
    code: Option<&'static str>,
}

const REQUEST: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const QUOTA: &str = "insufficient_quota";

impl Refused {
    fn new(
        status: StatusCode,
        kind: &'static str,
        code: impl Into<Option<&'static str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error: Error {
                message: message.into(),
                kind,
                param: None,
                code: code.into(),
            },
            wait: None,
            in_vain: false,
        }
    }

    fn about(mut self, param: impl Into<String>) -> Self {
        self.error.param = Some(param.into());
        self
    }

    fn in_vain(self) -> Self {
        Self {
            in_vain: true,
            ..self
        }
    }

    fn after(self, wait: Duration) -> Self {
        Self {
            wait: Some(wait),
            ..self
        }
    }

    /// What was sent is not what this request takes.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, REQUEST, None, message)
    }

    /// The same, of one part of it.
    pub(super) fn invalid_param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(message).about(param)
    }

    pub(super) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            REQUEST,
            "unsupported_parameter",
            message,
        )
        .about(param)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("The body is longer than {limit} bytes.");
        let code = "request_too_large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, REQUEST, code, message)
    }

    pub(super) fn unknown_path() -> Self {
        let message =
            "There is nothing at this path: /v1 has models, chat/completions and embeddings.";
        Self::new(StatusCode::NOT_FOUND, REQUEST, "unknown_url", message)
    }

    pub(super) fn wrong_method() -> Self {
        let message = "This path does not take this method.";
        let code = "method_not_supported";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, REQUEST, code, message)
    }

    /// One that does not exist, or that the caller may not ask.
    pub(super) fn unknown_model(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        Self::new(StatusCode::NOT_FOUND, REQUEST, "model_not_found", message).about("model")
    }

    pub(super) fn unknown_conversation() -> Self {
        let message = "There is no such conversation.";
        let code = "conversation_not_found";
        Self::new(StatusCode::NOT_FOUND, REQUEST, code, message).about("metadata.conversation_id")
    }

    pub(super) fn missing_scope(scope: Scope) -> Self {
        let scope = scope.as_str();
        let message = format!("This API key is not good for this: it has no scope `{scope}`.");
        Self::new(StatusCode::FORBIDDEN, REQUEST, "missing_scope", message)
    }

    pub(super) fn internal() -> Self {
        let message = "Confab failed on this request.";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            SERVER,
            "internal",
            message,
        )
    }

    /// What is being told is not the answer any more.
    pub(super) fn begun_anew() -> Self {
        let message = "The answer was begun anew in other words: read it from the conversation.";
        Self::provider("interrupted", message)
    }

    fn unauthorized() -> Self {
        let message = "An API key or an access token is needed in `Authorization: Bearer`, and it must be good.";
        Self::new(
            StatusCode::UNAUTHORIZED,
            REQUEST,
            "invalid_api_key",
            message,
        )
    }

    fn away() -> Self {
        let message = "Confab is busy or a part of it is away. Please try again.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            SERVER,
            "overloaded",
            message,
        )
        .after(PAUSE)
    }

    fn quota(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, QUOTA, QUOTA, message).in_vain()
    }

    fn too_many(kind: &'static str, message: impl Into<String>, wait: Duration) -> Self {
        let code = "rate_limit_exceeded";
        Self::new(StatusCode::TOO_MANY_REQUESTS, kind, code, message).after(wait)
    }

    fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, REQUEST, code, message).in_vain()
    }

    fn provider(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, SERVER, code, message)
    }

    /// What a service refused, of a request for a model.
    pub(super) fn of(fault: Fault, model: &str) -> Self {
        match fault.reason {
            Reason::ModelNotFound | Reason::ModelNotGranted => Self::unknown_model(model),
            _ => fault.into(),
        }
    }

    /// As it is told within a stream.
    pub(super) fn into_body(self) -> Failed {
        Failed { error: self.error }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::unauthorized(),
            Refusal::Away => Self::away(),
        }
    }
}

impl From<Exceeded> for Refused {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { what, limit, wait } = exceeded;
        let seconds = wait.as_secs_f64();
        let message = format!(
            "Rate limit reached: {limit} {what} per minute. Please try again in {seconds:.1}s."
        );
        Self::too_many(what, message, wait)
    }
}

impl From<tonic::Status> for Refused {
    fn from(status: tonic::Status) -> Self {
        Fault::from(status).into()
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault.reason {
            Reason::Invalid => Self::invalid(fault.message),
            Reason::ProviderRefused => Self::new(
                StatusCode::BAD_REQUEST,
                REQUEST,
                "provider_refused",
                fault.message,
            ),
            Reason::ContextTooLong => {
                let code = "context_length_exceeded";
                Self::new(StatusCode::BAD_REQUEST, REQUEST, code, fault.message).about("messages")
            }
            Reason::TokenInvalid
            | Reason::TokenExpired
            | Reason::UserNotFound
            | Reason::ApiKeyNotFound => Self::unauthorized(),
            Reason::ModelNotFound | Reason::ModelNotGranted => Self::new(
                StatusCode::NOT_FOUND,
                REQUEST,
                "model_not_found",
                "The model does not exist or you do not have access to it.",
            )
            .about("model"),
            Reason::ThreadNotFound => Self::unknown_conversation(),
            Reason::BalanceInsufficient => {
                Self::quota("You exceeded your current quota: your balance does not pay for this.")
            }
            Reason::BudgetExceeded => Self::quota(
                "You exceeded your current quota: the budget of this API key is used up.",
            ),
            Reason::RunLimit | Reason::Throttled => {
                let wait = fault.limit.map_or(PAUSE, Duration::from_secs);
                Self::too_many("requests", fault.message, wait)
            }
            Reason::KeyReused => Self::conflict(
                "idempotency_key_reused",
                "This Idempotency-Key was used before for another request.",
            ),
            Reason::RunCancelled => Self::conflict("cancelled", "Somebody stopped this answer."),
            Reason::ProviderFailed => Self::provider("provider_failed", fault.message),
            Reason::RunInterrupted => Self::provider("interrupted", fault.message),
            Reason::Overloaded => {
                tracing::warn!(%fault, "a request failed");
                Self::away()
            }
            // No other reason comes from what is asked here.
            _ => {
                tracing::warn!(%fault, "a request failed");
                Self::internal()
            }
        }
    }
}

impl From<Refused> for HttpResponse {
    fn from(refused: Refused) -> Self {
        let mut response = match refused.status {
            StatusCode::UNAUTHORIZED => Refusal::Unauthorized.response(),
            status => HttpResponse::build(status),
        };
        if let Some(wait) = refused.wait {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
            response.insert_header((RETRY_AFTER_MS, wait.as_millis().max(1).to_string()));
        }
        if refused.in_vain {
            response.insert_header((SHOULD_RETRY, "false"));
        }
        response.json(refused.into_body())
    }
}
