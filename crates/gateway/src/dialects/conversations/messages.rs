//! Messages: stored, listed, read, removed.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::threads::{
    AppendMessageRequest, AuthorKind, DeleteMessageRequest, GetMessageRequest, Located, Message,
};

use super::fault::{Problem, Refusals, Unfound, Unread};
use super::listing;
use super::visit::{self, Reply};
use super::wire::{self, Role};
use crate::Gateway;

/// Lists what was said in a conversation, oldest first.
#[utoipa::path(
    get,
    path = "/conversations/{conversation}/messages",
    operation_id = "list_messages",
    params(("conversation" = i64, Path, description = "number of the conversation")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::Message>, description = "messages"), Unfound, Refusals),
)]
pub(super) async fn list_of_conversation(
    request: HttpRequest,
    conversation: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let found = visit::conversation(&gateway, caller, visit::id(&conversation)?).await?;
    let (owner, thread) = (&found.owner_id, &found.thread_id);
    let said = listing::messages(&gateway, owner, thread, found.number).await?;
    Ok(HttpResponse::Ok().json(said))
}

/// Lists what was said in everybody's conversations, or in token mode in the caller's; at most 10,000 messages.
#[utoipa::path(
    get,
    path = "/messages",
    operation_id = "list_all_messages",
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::Message>, description = "messages"), Refusals),
)]
pub(super) async fn list(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let said = listing::all_messages(&gateway, caller).await?;
    Ok(HttpResponse::Ok().json(said))
}

/// Stores a message; nobody answers it by itself.
#[utoipa::path(
    post,
    path = "/conversations/{conversation}/messages",
    operation_id = "create_message",
    params(
        ("conversation" = i64, Path, description = "number of the conversation"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key gives the same message"),
    ),
    request_body = wire::NewMessage,
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 201, body = wire::Message, description = "stored"),
        (status = 409, body = super::fault::Failed, description = "the key was used for another message"),
        Unfound,
        Unread,
        Refusals,
    ),
)]
pub(super) async fn create_in_conversation(
    request: HttpRequest,
    conversation: web::Path<String>,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    store(&request, Some(&conversation), payload, &gateway).await
}

/// Stores a message in the conversation that the body names.
#[utoipa::path(
    post,
    path = "/messages",
    operation_id = "create_message_anywhere",
    params(("Idempotency-Key" = Option<String>, Header, description = "the same key gives the same message")),
    request_body = wire::NewMessage,
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (status = 201, body = wire::Message, description = "stored"),
        (status = 409, body = super::fault::Failed, description = "the key was used for another message"),
        Unfound,
        Unread,
        Refusals,
    ),
)]
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    store(&request, None, payload, &gateway).await
}

async fn store(
    request: &HttpRequest,
    conversation: Option<&str>,
    payload: web::Payload,
    gateway: &Gateway,
) -> Reply {
    let caller = visit::caller(request, gateway).await?;
    let in_path = conversation.map(visit::id).transpose()?;
    let new: wire::NewMessage = visit::body(payload).await?;
    let number = in_path
        .or(new.conversation_id)
        .ok_or_else(|| Problem::bad_input("conversation_id is needed"))?;
    let key = visit::key(request, new.client_msg_id)?;
    let found = visit::conversation(gateway, caller, number).await?;
    let stored = append(gateway, &found, new.role, new.content, key).await?;
    Ok(HttpResponse::Created().json(wire::Message::new(stored, found.number)))
}

/// Writes a message to the log of a conversation.
pub(super) async fn append(
    gateway: &Gateway,
    conversation: &Located,
    role: Role,
    content: String,
    key: String,
) -> Result<Message, Problem> {
    let request = AppendMessageRequest {
        user_id: conversation.owner_id.clone(),
        thread_id: conversation.thread_id.clone(),
        author_kind: AuthorKind::from(role).into(),
        content,
        client_msg_id: key,
        model: String::new(),
    };
    let stored = gateway.backends.threads().append_message(request).await?;
    Ok(stored.into_inner())
}

/// Reads a message.
#[utoipa::path(
    get,
    path = "/messages/{message}",
    operation_id = "get_message",
    params(("message" = i64, Path, description = "number of the message")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = wire::Message, description = "the message"), Unfound, Refusals),
)]
pub(super) async fn get(
    request: HttpRequest,
    message: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let message_id = visit::id(&message)?;
    let found = visit::message(&gateway, caller, message_id).await?;
    let wanted = GetMessageRequest {
        user_id: found.owner_id,
        message_id,
        ..GetMessageRequest::default()
    };
    let message = gateway.backends.threads().get_message(wanted).await?;
    let message = message.into_inner();
    if !listing::is_shown(&message) {
        return Err(Problem::not_found("Message"));
    }
    Ok(HttpResponse::Ok().json(wire::Message::new(message, found.number)))
}

/// Removes a message for good.
#[utoipa::path(
    delete,
    path = "/messages/{message}",
    operation_id = "delete_message",
    params(("message" = i64, Path, description = "number of the message")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 204, description = "removed"), Unfound, Refusals),
)]
pub(super) async fn delete(
    request: HttpRequest,
    message: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let message_id = visit::id(&message)?;
    let found = visit::message(&gateway, caller, message_id).await?;
    let gone = DeleteMessageRequest {
        user_id: found.owner_id,
        message_id,
    };
    gateway.backends.threads().delete_message(gone).await?;
    Ok(HttpResponse::NoContent().finish())
}
