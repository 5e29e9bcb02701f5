//! `POST /chat/attachment/`: a message with a file. Sockets hear of it when its sender announces it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::attachments::upload_request::Commit;
use confab_rpc::attachments::{Attachment, DeleteAttachmentRequest, KeepAttachmentRequest};
use confab_rpc::sessions::Profile;
use confab_rpc::threads::send::Target;
use confab_rpc::threads::{AttachmentRef, Entry, EntryKind, Send};
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::fault::{self, Fields, Problem, Unauthorized};
use super::handlers::{profile, recipient};
use super::wire::{Envelope, Message, Nothing, Pair};
use crate::Gateway;
use crate::backends::Backends;
use crate::files::{File, Form, Shape, Transfer};
use crate::live::Live;

const FORM: Shape = Shape {
    file: FILE,
    texts: &[RECEIVER, MESSAGE, NAME],
};

const RECEIVER: &str = "receiver";
const MESSAGE: &str = "message";
const FILE: &str = "attached_file";
const NAME: &str = "attached_file_name";

/// The longest name, in characters.
const NAME_CHARACTERS: usize = 255;

/// The longest text of a message.
const TEXT_BYTES: usize = 16 * 1024;

/// The same key gives the original answer.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The form of a file, as it is documented; [`FORM`] reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Upload {
    receiver: Uuid,
    /// At most 16 KiB.
    message: Option<String>,
    #[schema(value_type = String, format = Binary)]
    attached_file: Vec<u8>,
    /// What the sender calls the file; as it was called when it came when it is missing.
    #[schema(max_length = 255)]
    attached_file_name: Option<String>,
}

/// What makes a repeated upload harmless, as it is documented; [`key`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Repeats {
    /// The same key gives the original answer.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
}

/// What is told of a stored file.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    #[schema(value_type = Option<Message>)]
    message: Option<Box<RawValue>>,
}

/// A form whose fields are all right.
struct Checked {
    receiver: Uuid,
    content: String,
    name: String,
    file: File,
}

/// A message whose file has been received, and what stores both.
struct Delivery {
    backends: Backends,
    live: Live,
    sender: Uuid,
    receiver: String,
    content: String,
    /// What the sender calls the file; empty: as it was called when it came.
    name: String,
    client_msg_id: String,
    original_name: String,
    declared_type: String,
}

/// Sends somebody a file. Sockets hear of it when its sender announces it there.
#[utoipa::path(
    post,
    path = "/chat/attachment/",
    operation_id = "upload",
    params(Repeats),
    request_body(content = Upload, content_type = "multipart/form-data"),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 201, body = Envelope<Created>, description = "stored, with its message"),
        (status = 400, body = Envelope<Option<BTreeMap<String, Vec<String>>>>, description = "what is wrong with each field, or a form that cannot be read"),
        (status = 401, body = Unauthorized, description = "no credential, or one that is not good"),
        (status = 403, body = Envelope<Nothing>, description = "a page that may not connect"),
        (status = 404, body = Envelope<Nothing>, description = "no such receiver, or oneself"),
        (status = 409, body = Envelope<Nothing>, description = "the `Idempotency-Key` was used for another message"),
        (status = 413, body = Envelope<Nothing>, description = "the file is too large, or one too many"),
        (status = 500, body = Envelope<Nothing>, description = "our fault"),
        (status = 503, body = Envelope<Nothing>, description = "come back after `Retry-After`"),
        (status = 507, body = Envelope<Nothing>, description = "nothing more can be stored"),
    ),
)]
pub(super) async fn post(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let received = receive(&request, payload, &gateway).await;
    received.unwrap_or_else(|problem| problem.respond())
}

async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    gateway: &Gateway,
) -> Result<HttpResponse, Problem> {
    if !gateway.origins.allow(request) {
        return Err(Problem::Origin);
    }
    let user = fault::user(request, gateway).await?;
    let mut form = Form::new(FORM);
    let read = form
        .read(request.headers(), payload.into_inner(), gateway)
        .await;
    if read.is_err() {
        // A refused file explains why the rest was not read.
        let fault = form.file.and_then(|file| file.transfer.err());
        return Err(fault.map_or(Problem::Form, Problem::Fault));
    }
    let checked = check(form).map_err(Problem::Fields)?;
    let transfer = checked.file.transfer?;
    if checked.receiver == user {
        return Err(Problem::Recipient);
    }
    let other = recipient(gateway, checked.receiver).await?;
    let own = profile(gateway, user).await?;
    let delivery = Delivery {
        backends: gateway.backends.clone(),
        live: gateway.live.clone(),
        sender: user,
        receiver: other.user_id.clone(),
        content: checked.content,
        name: checked.name,
        client_msg_id: key(request.headers()),
        original_name: checked.file.original_name,
        declared_type: checked.file.declared_type,
    };
    let entry = store(gateway, delivery, transfer).await?;
    Ok(created(user, &own, &other, &entry))
}

fn key(headers: &HeaderMap) -> String {
    let key = headers.get(IDEMPOTENCY_KEY);
    let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
    key.to_owned()
}

/// Every field that is wrong is named, in the words of the original's framework.
fn check(mut form: Form) -> Result<Checked, Fields> {
    let mut wrong = Fields::new();
    let mut complain = |field, text: &str| wrong.insert(field, [text.to_owned()]);
    let receiver = match form.text(RECEIVER).map(|id| id.trim().parse()) {
        Some(Ok(receiver)) => receiver,
        Some(Err(_)) => {
            complain(RECEIVER, "Must be a valid UUID.");
            Uuid::nil()
        }
        None => {
            complain(RECEIVER, "This field is required.");
            Uuid::nil()
        }
    };
    let content = form.text(MESSAGE).unwrap_or_default().to_owned();
    if content.len() > TEXT_BYTES {
        let limit = format!("Ensure this field has no more than {TEXT_BYTES} bytes.");
        complain(MESSAGE, &limit);
    }
    let name = form.text(NAME).unwrap_or_default().trim().to_owned();
    if name.chars().count() > NAME_CHARACTERS {
        let limit = format!("Ensure this field has no more than {NAME_CHARACTERS} characters.");
        complain(NAME, &limit);
    }
    let file = form.file.take();
    if file.is_none() {
        complain(FILE, "No file was submitted.");
    }
    if file.as_ref().is_some_and(|file| file.empty) {
        complain(FILE, "The submitted file is empty.");
    }
    match file {
        Some(file) if wrong.is_empty() => Ok(Checked {
            receiver,
            content,
            name,
            file,
        }),
        _ => Err(wrong),
    }
}

/// Stores in a task of its own: a client that leaves now must not leave a file without its message.
async fn store(gateway: &Gateway, delivery: Delivery, transfer: Transfer) -> Result<Entry, Fault> {
    let (done, outcome) = oneshot::channel();
    gateway.tasks.spawn("attachment", async move {
        // Nobody waits any more when the client has gone.
        let _ = done.send(delivery.store(transfer).await);
    });
    let broken = |_| Fault::new(Reason::Internal, "the attachment's task ended early");
    outcome.await.map_err(broken)?
}

impl Delivery {
    /// The file first, for good, then its message: what a crash leaves behind is at most a file too many.
    async fn store(self, transfer: Transfer) -> Result<Entry, Fault> {
        let commit = Commit {
            owner_id: self.sender.to_string(),
            original_name: self.original_name.clone(),
            declared_type: self.declared_type.clone(),
            reader_ids: vec![self.receiver.clone()],
            ..Commit::default()
        };
        let attachment = transfer.commit(commit).await?;
        let id = attachment.id.clone();
        match self.send(attachment).await {
            // The same key was sent before, with a file of its own.
            Ok(entry) if entry.attachments.iter().all(|file| file.id != id) => {
                self.delete(id).await;
                Ok(entry)
            }
            Ok(entry) => Ok(entry),
            Err(fault) => {
                // When it is not known what became of the message, it may need its file.
                if is_refusal(&fault) {
                    self.delete(id).await;
                }
                Err(fault)
            }
        }
    }

    async fn send(&self, attachment: Attachment) -> Result<Entry, Fault> {
        let keep = KeepAttachmentRequest {
            user_id: self.sender.to_string(),
            id: attachment.id.clone(),
            reader_id: self.receiver.clone(),
        };
        self.backends.attachments().keep_attachment(keep).await?;
        let title = if self.name.is_empty() {
            attachment.original_name
        } else {
            self.name.clone()
        };
        let message = Send {
            user_id: self.sender.to_string(),
            target: Some(Target::ReceiverId(self.receiver.clone())),
            kind: EntryKind::File.into(),
            content: self.content.clone(),
            attachments: vec![AttachmentRef {
                id: attachment.id,
                name: attachment.name,
                title,
                size: attachment.size,
            }],
            client_msg_id: self.client_msg_id.clone(),
            ..Send::default()
        };
        Ok(self.live.post(message).await?.entry)
    }

    async fn delete(&self, id: String) {
        let delete = DeleteAttachmentRequest {
            user_id: self.sender.to_string(),
            id,
        };
        if let Err(status) = self.backends.attachments().delete_attachment(delete).await {
            let fault = Fault::from(status);
            tracing::error!(%fault, "the file of a refused message is left over");
        }
    }
}

/// Whether a message is known not to be stored.
fn is_refusal(fault: &Fault) -> bool {
    !matches!(
        fault.reason,
        Reason::Internal | Reason::Overloaded | Reason::Unspecified
    )
}

fn created(user: Uuid, own: &Arc<Profile>, other: &Arc<Profile>, entry: &Entry) -> HttpResponse {
    let rendered = Pair::seen_by(user, own, other).render(entry);
    let content = Created {
        message: rendered.and_then(|json| RawValue::from_string(json).ok()),
    };
    HttpResponse::Created().json(Envelope::success(
        &content,
        Some("File uploaded and chat created successfully"),
    ))
}
