//! `POST /upload`: a file for a session, or for a new one.

mod refused;

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::attachments::Attachment;
use confab_rpc::attachments::upload_request::Commit;
use confab_rpc::completions::ListModelsRequest;
use confab_rpc::completions::ask_request::Model;
use confab_rpc::sessions::{GetUserRequest, get_user_request};
use confab_rpc::threads::{CreateThreadRequest, DeleteThreadRequest, GetThreadRequest, ThreadKind};
use confab_rpc::{Fault, Reason};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;
use uuid::Uuid;

use super::names::NEW_CHAT;
use super::{NEW, wire};
use crate::Gateway;
use crate::backends::Backends;
use crate::caller::{Acting, Claim, Credential, identify};
use crate::files::{File, Form, Shape, Transfer};
use refused::{Refused, Told};

/// What the form of an upload holds.
const FORM: Shape = Shape {
    file: "file",
    texts: &[
        "session_id",
        "user_id",
        "session_prompt",
        "model_name",
        "model_id",
    ],
};

/// The form of an upload, as it is documented; [`FORM`] reads it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Upload {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// A session of the user's, or `NEW`.
    session_id: String,
    user_id: Uuid,
    /// What the model of a new session is told beforehand.
    session_prompt: Option<String>,
    /// This or `model_id`; the name wins.
    model_name: Option<String>,
    model_id: Option<String>,
}

/// What is told of a stored file.
#[derive(Serialize, ToSchema)]
pub(super) struct Uploaded<'a> {
    data: Place<'a>,
    message: &'a str,
}

/// Where a file is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    /// What `file_name` of a request over the socket takes.
    file_name: &'a str,
    /// The headers of the form's part.
    header: &'a BTreeMap<String, Vec<String>>,
    /// Where it is served.
    image_url: String,
    session_id: &'a str,
    /// In bytes.
    size: i64,
}

/// A stored file.
struct Stored {
    attachment: Attachment,
    header: BTreeMap<String, Vec<String>>,
}

/// Where a file goes.
struct Destination {
    owner: Uuid,
    thread: Thread,
}

enum Thread {
    Existing(String),
    New { model_id: i32, instructions: String },
}

/// Takes a file for a session, or for a new one.
#[utoipa::path(
    post,
    path = "/upload",
    operation_id = "upload",
    security((), ("bearer" = []), ("cookie" = [])),
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 202, body = Uploaded, description = "stored"),
        (status = 400, body = Told, description = "the form is not what this takes, or the file is too large"),
        (status = 401, body = Told, description = "no credential, or one that is not good (token mode)"),
        (status = 403, body = Told, description = "a page that may not connect"),
        (status = 500, description = "no such session (plain text), no such user, or our fault", content(
            (Told = "application/json"),
            (String = "text/plain"),
        )),
        (status = 503, body = Told, description = "come back after `Retry-After`"),
        (status = 507, body = Told, description = "the user has too many files, or nothing more can be stored"),
    ),
)]
pub(super) async fn post(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    match receive(&request, payload, &gateway).await {
        Ok(stored) => accepted(&stored),
        Err(refused) => refused.respond(),
    }
}

fn accepted(stored: &Stored) -> HttpResponse {
    let attachment = &stored.attachment;
    HttpResponse::Accepted().json(Uploaded {
        data: Place {
            file_name: &attachment.name,
            header: &stored.header,
            image_url: format!("/uploads/{}", attachment.name),
            session_id: &attachment.thread_id,
            size: attachment.size,
        },
        message: "File uploaded successfully",
    })
}

async fn receive(
    request: &HttpRequest,
    payload: web::Payload,
    gateway: &Gateway,
) -> Result<Stored, Refused> {
    if !gateway.origins.allow(request) {
        return Err(Refused::Origin);
    }
    let credential = Credential::of(request);
    let caller = identify(gateway.auth, &gateway.backends, credential.as_ref())
        .await
        .map_err(Refused::Credential)?;
    let mut form = Form::new(FORM);
    let read = form
        .read(request.headers(), payload.into_inner(), gateway)
        .await;
    if read.is_err() {
        // A refused file explains why the rest was not read.
        let fault = form.file.and_then(|file| file.transfer.err());
        return Err(fault.map_or(Refused::Form, Refused::File));
    }
    store(form, &Acting::new(caller), gateway).await
}

/// Checks a whole form, in the order in which the original complains, and stores its file.
async fn store(form: Form, acting: &Acting, gateway: &Gateway) -> Result<Stored, Refused> {
    let text = |name| form.text(name).unwrap_or_default();
    let (session_id, user_id) = (text("session_id").to_owned(), text("user_id").to_owned());
    if session_id.is_empty() {
        return Err(Refused::SessionMissing);
    }
    if user_id.is_empty() {
        return Err(Refused::UserMissing);
    }
    let instructions = text("session_prompt").to_owned();
    let named = wire::model(text("model_name"), text("model_id")).ok_or(Refused::ModelMissing)?;
    let model_id = find_model(&gateway.backends, &named).await?;
    let File {
        original_name,
        declared_type,
        header,
        transfer,
        ..
    } = form.file.ok_or(Refused::Form)?;
    let transfer = transfer.map_err(Refused::File)?;

    let user = match user_id.parse().map(|id| acting.claim(id)) {
        Ok(Claim::Granted(user)) => Some(user),
        _ => None,
    };
    let destination = if session_id == NEW {
        let owner = user.ok_or(Refused::NoNewSession)?;
        find_user(&gateway.backends, owner).await?;
        Destination {
            owner,
            thread: Thread::New {
                model_id,
                instructions,
            },
        }
    } else {
        let owner = user.ok_or(Refused::NoSession)?;
        find_thread(&gateway.backends, owner, &session_id).await?;
        Destination {
            owner,
            thread: Thread::Existing(session_id),
        }
    };
    let commit = Commit {
        original_name,
        declared_type,
        ..Default::default()
    };
    let attachment = deliver(gateway, destination, transfer, commit).await?;
    Ok(Stored { attachment, header })
}

/// Stores the file in a task of its own: a client that leaves now must not leave a session without its file.
async fn deliver(
    gateway: &Gateway,
    destination: Destination,
    transfer: Transfer,
    commit: Commit,
) -> Result<Attachment, Refused> {
    let (done, outcome) = oneshot::channel();
    let backends = gateway.backends.clone();
    gateway.tasks.spawn("upload", async move {
        let _ = done.send(commit_to(&backends, destination, transfer, commit).await);
    });
    // A task that panicked has said so.
    outcome.await.unwrap_or(Err(Refused::Form))
}

/// Commits the file; makes its session first if need be, and takes it back when the file is refused.
async fn commit_to(
    backends: &Backends,
    destination: Destination,
    transfer: Transfer,
    mut commit: Commit,
) -> Result<Attachment, Refused> {
    commit.owner_id = destination.owner.to_string();
    let (model_id, instructions) = match destination.thread {
        Thread::Existing(id) => {
            commit.thread_id = id;
            return transfer.commit(commit).await.map_err(Refused::File);
        }
        Thread::New {
            model_id,
            instructions,
        } => (model_id, instructions),
    };
    let thread = CreateThreadRequest {
        user_id: commit.owner_id.clone(),
        kind: ThreadKind::Assistant.into(),
        title: NEW_CHAT.to_owned(),
        instructions,
        model_id: Some(model_id),
        id: String::new(),
    };
    let created = backends.threads().create_thread(thread).await;
    let thread = created.map_err(|status| Refused::of_new_session(status.into()))?;
    commit.thread_id = thread.into_inner().id;
    let undo = DeleteThreadRequest {
        user_id: commit.owner_id.clone(),
        thread_id: commit.thread_id.clone(),
    };
    match transfer.commit(commit).await {
        Ok(attachment) => Ok(attachment),
        Err(fault) => {
            if let Err(status) = backends.threads().delete_thread(undo).await {
                let fault = Fault::from(status);
                tracing::error!(%fault, "the session of a refused upload is left over");
            }
            Err(Refused::File(fault))
        }
    }
}

async fn find_model(backends: &Backends, named: &Model) -> Result<i32, Refused> {
    let mut completions = backends.completions();
    let found = completions.list_models(ListModelsRequest {}).await;
    let found = found.map_err(|status| Refused::Fault(status.into()))?;
    let models = found.into_inner().models;
    let model = models.into_iter().find(|model| match named {
        Model::ModelName(name) => model.name == *name,
        Model::ModelId(id) => model.id == *id,
    });
    model.map(|model| model.id).ok_or(Refused::ModelMissing)
}

async fn find_user(backends: &Backends, user: Uuid) -> Result<(), Refused> {
    let request = GetUserRequest {
        by: Some(get_user_request::By::Id(user.to_string())),
    };
    let found = backends.sessions().get_user(request).await;
    found
        .map(|_| ())
        .map_err(|status| Refused::of_new_session(status.into()))
}

async fn find_thread(backends: &Backends, user: Uuid, thread: &str) -> Result<(), Refused> {
    let request = GetThreadRequest {
        user_id: user.to_string(),
        thread_id: thread.to_owned(),
        ..GetThreadRequest::default()
    };
    let found = backends.threads().get_thread(request).await;
    found.map(|_| ()).map_err(|status| {
        let fault = Fault::from(status);
        match fault.reason {
            Reason::ThreadNotFound => Refused::NoSession,
            _ => Refused::Fault(fault),
        }
    })
}
