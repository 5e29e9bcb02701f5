//! `GET /uploads/<name>`: a stored file, whole or one range of it.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::attachments::download_request::Access;
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Gateway;
use crate::caller::{Caller, Credential, Refusal, identify, unavailable};
use crate::docs::schema::Content;
use crate::files::{self, Conditions, Link};

/// The longest path that is repeated in an answer.
const ECHO_BYTES: usize = 200;

/// A file that is not served.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed {
    error: &'static str,
}

/// Serves a file, whole or one range of it.
#[utoipa::path(
    get,
    path = "/uploads/{name}",
    operation_id = "download",
    params(
        ("name", description = "as `fileName` of the upload said"),
        Link,
        Conditions,
    ),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = inline(Content), content_type = "*/*", description = "the file"),
        (status = 206, body = inline(Content), content_type = "*/*", description = "the range of it"),
        (status = 304, description = "the version that `If-None-Match` names"),
        (status = 401, body = Failed, description = "no credential, or one that is not good (token mode)"),
        (status = 403, body = String, content_type = "text/plain", description = "a link that has expired or was changed"),
        (status = 404, body = String, content_type = "text/plain", description = "no such file, or not for the caller"),
        (status = 416, description = "a range beyond the end"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn get(
    request: HttpRequest,
    name: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let access = match access(&request, &gateway).await {
        Ok(access) => access,
        Err(refusal) => {
            let error = refusal.text();
            return refusal.response().json(Failed { error });
        }
    };
    let served = files::serve(&request, &gateway.backends, access, name.into_inner());
    served
        .await
        .unwrap_or_else(|fault| refuse(&request, &fault))
}

/// With what the file may be read: a signed link, the caller, or in open mode its unguessable name.
async fn access(request: &HttpRequest, gateway: &Gateway) -> Result<Access, Refusal> {
    if let Some(signature) = files::signature(request) {
        return Ok(Access::Signature(signature));
    }
    let credential = Credential::of(request);
    let caller = identify(gateway.auth, &gateway.backends, credential.as_ref()).await;
    Ok(match caller? {
        Caller::Anyone => Access::NameSuffices(true),
        Caller::User(user) => Access::UserId(user.id.to_string()),
    })
}

fn refuse(request: &HttpRequest, fault: &Fault) -> HttpResponse {
    match fault.reason {
        Reason::AttachmentNotFound | Reason::Invalid => {
            let path = request.path();
            let end = path.floor_char_boundary(ECHO_BYTES);
            // The path is as it came, percent-encoded, and the answer is never sniffed.
            HttpResponse::NotFound()
                .content_type(ContentType::plaintext())
                .body(format!("Cannot GET {}", &path[..end]))
        }
        Reason::SignatureInvalid => HttpResponse::Forbidden()
            .content_type(ContentType::plaintext())
            .body("Forbidden"),
        Reason::Overloaded => {
            tracing::warn!(%fault, "a file could not be served");
            let error = "Service Unavailable";
            unavailable().json(Failed { error })
        }
        _ => {
            tracing::error!(%fault, "a file could not be served");
            let error = "Internal Server Error";
            HttpResponse::InternalServerError().json(Failed { error })
        }
    }
}
