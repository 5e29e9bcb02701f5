//! Why a REST request is refused, and the envelope that says so. The texts are the contract.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::wire::{Envelope, Nothing};
use crate::Gateway;
use crate::caller::{Credential, Refusal, unavailable};

const MIB: u64 = 1024 * 1024;

/// What is wrong with each field of a form.
pub(super) type Fields = BTreeMap<&'static str, [String; 1]>;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Problem {
    /// A page that may not connect.
    Origin,
    /// No credential, or one that is not good.
    Credential { given: bool },
    /// A form that cannot be read to its end.
    Form,
    /// A form whose fields say something wrong.
    Fields(Fields),
    /// A user that there is not, or oneself.
    Recipient,
    /// A message that there is not, or not for the caller.
    Chat,
    /// A thread that there is not, or not for the caller.
    Thread,
    /// What a service said.
    Fault(Fault),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        Self::Fault(status.into())
    }
}

/// Who sent a request. This language knows no open mode: there is always a credential.
pub(super) async fn user(request: &HttpRequest, gateway: &Gateway) -> Result<Uuid, Problem> {
    let credential = Credential::of(request);
    let known = &gateway.known;
    match known.user(&gateway.backends, credential.as_ref()).await {
        Ok(verified) => Ok(verified.id),
        Err(Refusal::Unauthorized) => Err(Problem::Credential {
            given: credential.is_some(),
        }),
        Err(Refusal::Away) => Err(away().into()),
    }
}

fn away() -> Fault {
    Fault::new(Reason::Overloaded, "a token could not be verified")
}

impl Problem {
    pub(super) fn respond(&self) -> HttpResponse {
        match self {
            Self::Origin => answer(HttpResponse::Forbidden(), "Origin not allowed"),
            Self::Credential { given } => unauthorized(*given),
            Self::Form => answer(HttpResponse::BadRequest(), "Multipart form parse error"),
            Self::Fields(fields) => {
                HttpResponse::BadRequest().json(Envelope::failure(fields, "Invalid input"))
            }
            // Spelt as the front ends know it.
            Self::Recipient => answer(HttpResponse::NotFound(), "Invalid receipient"),
            Self::Chat => answer(HttpResponse::NotFound(), "Invalid chat"),
            Self::Thread => answer(HttpResponse::NotFound(), "Invalid thread"),
            Self::Fault(fault) => of_fault(fault),
        }
    }
}

fn of_fault(fault: &Fault) -> HttpResponse {
    match fault.reason {
        Reason::ReceiverInvalid | Reason::UserNotFound => Problem::Recipient.respond(),
        Reason::MessageNotFound => Problem::Chat.respond(),
        Reason::ThreadNotFound => Problem::Thread.respond(),
        Reason::Invalid => answer(HttpResponse::BadRequest(), "Invalid input"),
        Reason::KeyReused => answer(
            HttpResponse::Conflict(),
            "The Idempotency-Key was used for another message",
        ),
        Reason::AttachmentTooLarge => {
            answer(HttpResponse::PayloadTooLarge(), &too_large(fault.limit))
        }
        Reason::QuotaExceeded => answer(
            HttpResponse::PayloadTooLarge(),
            "Your files take more space than is allowed",
        ),
        Reason::StorageFull => {
            tracing::error!(%fault, "an upload was refused");
            answer(HttpResponse::InsufficientStorage(), "Insufficient storage")
        }
        Reason::Overloaded => {
            tracing::warn!(%fault, "a request failed");
            answer(unavailable(), "Service unavailable")
        }
        _ => {
            tracing::error!(%fault, "a request failed");
            answer(HttpResponse::InternalServerError(), "Internal server error")
        }
    }
}

fn too_large(limit: Option<u64>) -> String {
    let text = "File size exceeds the maximum limit";
    limit.map_or(text.to_owned(), |limit| {
        format!("{text} of {} MB", limit / MIB)
    })
}

fn answer(mut response: HttpResponseBuilder, message: &str) -> HttpResponse {
    response.json(Envelope::failure(&Nothing, message))
}

/// What the framework of the original said, in an envelope.
#[derive(Serialize, ToSchema)]
pub(super) struct Unauthorized<'a> {
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[TokenFailure<'a>; 1]>,
    #[serde(flatten)]
    envelope: Envelope<'a, Nothing>,
}

#[derive(Serialize, ToSchema)]
struct TokenFailure<'a> {
    token_class: &'a str,
    token_type: &'a str,
    message: &'a str,
}

fn unauthorized(given: bool) -> HttpResponse {
    HttpResponse::Unauthorized()
        .insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"api\""))
        .json(unauthorized_body(given))
}

/// Whether a credential was given decides what is said of it.
pub(super) fn unauthorized_body(given: bool) -> impl Serialize {
    if given {
        let detail = "Given token not valid for any token type";
        return Unauthorized {
            detail,
            code: Some("token_not_valid"),
            messages: Some([TokenFailure {
                token_class: "AccessToken",
                token_type: "access",
                message: "Token is invalid or expired",
            }]),
            envelope: Envelope::failure(&Nothing, detail),
        };
    }
    let detail = "Authentication credentials were not provided.";
    Unauthorized {
        detail,
        code: None,
        messages: None,
        envelope: Envelope::failure(&Nothing, detail),
    }
}
