//! Where files are: `/media/chat-files/<uuid>/<name>`.
//!
//! The original put files under the names that their senders had given them. Here the path has an unguessable part, and
//! the last one only says what the file is called, so nothing is looked up to make a path or to find its file.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::attachments::download_request::Access;
use confab_rpc::threads::AttachmentRef;
use confab_rpc::{Fault, Reason};
use uuid::Uuid;

use super::fault::{self, Problem, Unauthorized};
use super::wire::{Envelope, Nothing};
use crate::Gateway;
use crate::docs::schema::Content;
use crate::files::{self, Conditions, Link};

/// The longest name in a path, without the extension.
const STEM_CHARACTERS: usize = 100;

/// What a file without any name is called.
const NAMELESS: &str = "file";

/// What the sender calls a file.
pub(super) fn title(file: &AttachmentRef) -> &str {
    if file.title.is_empty() {
        &file.name
    } else {
        &file.title
    }
}

/// A file's path, which is also how this language names the file.
pub(super) fn path(file: &AttachmentRef) -> String {
    let extension = extension(&file.name);
    let title = title(file);
    let cut = title.len().saturating_sub(extension.len());
    let stem = match title.split_at_checked(cut) {
        Some((stem, end)) if end.eq_ignore_ascii_case(extension) => stem,
        _ => title,
    };
    let mut stem: String = stem.chars().take(STEM_CHARACTERS).map(plain).collect();
    if stem.chars().all(|c| c == '_') {
        NAMELESS.clone_into(&mut stem);
    }
    format!("/media/chat-files/{}/{stem}{extension}", file.id)
}

/// The name under which the attachments service serves the file of a path; `None` when there is no such path.
pub(super) fn stored_name(id: &str, name: &str) -> Option<String> {
    let id: Uuid = id.parse().ok()?;
    Some(format!("{}{}", id.simple(), extension(name)))
}

/// The extension with its dot; empty when there is none.
fn extension(name: &str) -> &str {
    name.rfind('.').map_or("", |dot| &name[dot..])
}

/// A character that needs no encoding in a path and no thought in a file system. Dots begin extensions only.
fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '-' {
        c
    } else {
        '_'
    }
}

/// Serves a file to the two people it is between, whole or one range of it.
#[utoipa::path(
    get,
    path = "/media/chat-files/{id}/{name}",
    operation_id = "download",
    params(
        ("id", description = "as in `attached_file` of a message"),
        ("name", description = "as in `attached_file` of a message"),
        Link,
        Conditions,
    ),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = inline(Content), content_type = "*/*", description = "the file"),
        (status = 206, body = inline(Content), content_type = "*/*", description = "the range of it"),
        (status = 304, description = "the version that `If-None-Match` names"),
        (status = 401, body = Unauthorized, description = "no credential, or one that is not good"),
        (status = 403, body = String, content_type = "text/plain", description = "a link that has expired or was changed"),
        (status = 404, body = String, content_type = "text/plain", description = "no such file, or not for the caller"),
        (status = 416, description = "a range beyond the end"),
        (status = 500, body = Envelope<Nothing>, description = "our fault"),
        (status = 503, body = Envelope<Nothing>, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn get(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let (id, name) = path.into_inner();
    match serve(&request, &id, &name, &gateway).await {
        Ok(response) => response,
        Err(problem) => refuse(&problem),
    }
}

/// Whoever has a signed link, the sender and the receiver may read a file.
async fn serve(
    request: &HttpRequest,
    id: &str,
    name: &str,
    gateway: &Gateway,
) -> Result<HttpResponse, Problem> {
    let access = match files::signature(request) {
        Some(signature) => Access::Signature(signature),
        None => Access::UserId(fault::user(request, gateway).await?.to_string()),
    };
    let name = stored_name(id, name)
        .ok_or_else(|| Fault::new(Reason::AttachmentNotFound, "no path of a file"))?;
    Ok(files::serve(request, &gateway.backends, access, name).await?)
}

fn refuse(problem: &Problem) -> HttpResponse {
    let text = |mut response: actix_web::HttpResponseBuilder, text: &'static str| {
        response.content_type(ContentType::plaintext()).body(text)
    };
    match problem {
        Problem::Fault(fault) => match fault.reason {
            Reason::AttachmentNotFound | Reason::Invalid => {
                text(HttpResponse::NotFound(), "Not Found")
            }
            Reason::SignatureInvalid => text(HttpResponse::Forbidden(), "Forbidden"),
            _ => problem.respond(),
        },
        _ => problem.respond(),
    }
}
