//! Why an upload is refused, and how the front end learns of it: most in JSON, one as plain text, as it always was.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::{Refusal, unavailable};
use crate::docs::schema;

const MIB: u64 = 1024 * 1024;

/// A refused upload.
#[derive(Serialize, ToSchema)]
pub(super) struct Told<'a> {
    /// Always `null`.
    #[schema(schema_with = schema::null)]
    data: (),
    message: &'a str,
}

/// Why an upload is refused.
#[derive(Debug)]
pub(super) enum Refused {
    Origin,
    Credential(Refusal),
    SessionMissing,
    UserMissing,
    /// No model, or one that there is not.
    ModelMissing,
    /// No file, or a form that cannot be read.
    Form,
    /// The session is not there, or not the user's.
    NoSession,
    /// The user of a new session is not there.
    NoNewSession,
    /// The file was not taken.
    File(Fault),
    /// A service did not do its part.
    Fault(Fault),
}

impl Refused {
    /// For a session that could not be made: the user's fault, or a service's.
    pub(super) fn of_new_session(fault: Fault) -> Self {
        match fault.reason {
            Reason::UserNotFound | Reason::Invalid => Self::NoNewSession,
            _ => Self::Fault(fault),
        }
    }

    pub(super) fn respond(self) -> HttpResponse {
        match self {
            Self::Origin => answer(StatusCode::FORBIDDEN, "Origin not allowed"),
            Self::Credential(refusal) => refusal.response().json(body(refusal.text())),
            Self::SessionMissing => answer(StatusCode::BAD_REQUEST, "session ID is required"),
            Self::UserMissing => answer(StatusCode::BAD_REQUEST, "user ID is required"),
            Self::ModelMissing => answer(StatusCode::BAD_REQUEST, "model Name is required"),
            Self::Form => answer(StatusCode::BAD_REQUEST, "Server error"),
            Self::NoSession => HttpResponse::InternalServerError()
                .content_type(ContentType::plaintext())
                .body("no session data found"),
            Self::NoNewSession => answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Unable To Create New Session",
            ),
            Self::File(fault) | Self::Fault(fault) => of_fault(&fault),
        }
    }
}

fn of_fault(fault: &Fault) -> HttpResponse {
    match fault.reason {
        Reason::AttachmentTooLarge => answer(StatusCode::BAD_REQUEST, &too_large(fault.limit)),
        Reason::Invalid => answer(StatusCode::BAD_REQUEST, "Server error"),
        Reason::QuotaExceeded => answer(StatusCode::INSUFFICIENT_STORAGE, "Insufficient Storage"),
        Reason::StorageFull => {
            tracing::error!(%fault, "an upload was refused");
            answer(StatusCode::INSUFFICIENT_STORAGE, "Insufficient Storage")
        }
        Reason::Overloaded => {
            tracing::warn!(%fault, "an upload was refused");
            unavailable().json(body("Service Unavailable"))
        }
        _ => {
            tracing::error!(%fault, "an upload was refused");
            answer(StatusCode::INTERNAL_SERVER_ERROR, "Server error")
        }
    }
}

fn too_large(limit: Option<u64>) -> String {
    let text = "File size exceeds the maximum limit";
    limit.map_or(text.to_owned(), |limit| {
        format!("{text} of {} MB", limit / MIB)
    })
}

fn answer(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(body(message))
}

fn body(message: &str) -> Told<'_> {
    Told { data: (), message }
}
