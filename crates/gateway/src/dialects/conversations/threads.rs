//! Conversations: begun, listed, renamed, removed.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::Fault;
use confab_rpc::attachments::DeleteThreadAttachmentsRequest;
use confab_rpc::threads::{
    CreateThreadRequest, DeleteThreadRequest, GetThreadRequest, ThreadKind, UpdateThreadRequest,
};

use super::fault::{Refusals, Unfound, Unread};
use super::visit::{self, Reply};
use super::{listing, wire};
use crate::Gateway;

/// Lists a user's conversations, the last active first.
#[utoipa::path(
    get,
    path = "/users/{user}/conversations",
    operation_id = "list_of_user",
    params(("user" = i64, Path, description = "number of the user")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::Conversation>, description = "conversations"), Unfound, Refusals),
)]
pub(super) async fn list_of_user(
    request: HttpRequest,
    user: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let user = visit::user(&gateway, caller, visit::id(&user)?).await?;
    let threads = listing::threads(&gateway, &user).await?.into_iter();
    let conversations: Vec<wire::Conversation> = threads
        .map(|thread| wire::Conversation::new(thread, user.number))
        .collect();
    Ok(HttpResponse::Ok().json(conversations))
}

/// Lists the conversations of everybody, or in token mode of the caller; at most 10,000.
#[utoipa::path(
    get,
    path = "/conversations",
    operation_id = "list",
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::Conversation>, description = "conversations"), Refusals),
)]
pub(super) async fn list(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let threads = listing::all_threads(&gateway, caller).await?.into_iter();
    let conversations: Vec<wire::Conversation> = threads
        .map(|(user, thread)| wire::Conversation::new(thread, user.number))
        .collect();
    Ok(HttpResponse::Ok().json(conversations))
}

/// Begins a conversation.
#[utoipa::path(
    post,
    path = "/conversations",
    operation_id = "create",
    request_body = wire::NewConversation,
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 201, body = wire::Conversation, description = "begun"), Unfound, Unread, Refusals),
)]
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let new: wire::NewConversation = visit::body(payload).await?;
    let user = visit::named_user(&gateway, caller, new.user_id).await?;
    let thread = CreateThreadRequest {
        user_id: user.id,
        kind: ThreadKind::Assistant.into(),
        title: new.title,
        ..CreateThreadRequest::default()
    };
    let thread = gateway.backends.threads().create_thread(thread).await?;
    let conversation = wire::Conversation::new(thread.into_inner(), user.number);
    Ok(HttpResponse::Created().json(conversation))
}

/// Reads a conversation's title and owner.
#[utoipa::path(
    get,
    path = "/conversations/{conversation}",
    operation_id = "get",
    params(("conversation" = i64, Path, description = "number of the conversation")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = wire::Conversation, description = "the conversation"), Unfound, Refusals),
)]
pub(super) async fn get(
    request: HttpRequest,
    conversation: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let found = visit::conversation(&gateway, caller, visit::id(&conversation)?).await?;
    let number = visit::number_of(&gateway, &found.owner_id).await?;
    let wanted = GetThreadRequest {
        user_id: found.owner_id,
        thread_id: found.thread_id,
        ..GetThreadRequest::default()
    };
    let thread = gateway.backends.threads().get_thread(wanted).await?;
    Ok(HttpResponse::Ok().json(wire::Conversation::new(thread.into_inner(), number)))
}

/// Renames a conversation.
#[utoipa::path(
    patch,
    path = "/conversations/{conversation}",
    operation_id = "update",
    params(("conversation" = i64, Path, description = "number of the conversation")),
    request_body = wire::ConversationChange,
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = wire::Conversation, description = "as it is now"), Unfound, Unread, Refusals),
)]
pub(super) async fn update(
    request: HttpRequest,
    conversation: web::Path<String>,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let number = visit::id(&conversation)?;
    let change: wire::ConversationChange = visit::body(payload).await?;
    let found = visit::conversation(&gateway, caller, number).await?;
    let owner = visit::number_of(&gateway, &found.owner_id).await?;
    let change = UpdateThreadRequest {
        user_id: found.owner_id,
        thread_id: found.thread_id,
        title: change.title,
    };
    let thread = gateway.backends.threads().update_thread(change).await?;
    Ok(HttpResponse::Ok().json(wire::Conversation::new(thread.into_inner(), owner)))
}

/// Removes a conversation, its messages and its files for good.
#[utoipa::path(
    delete,
    path = "/conversations/{conversation}",
    operation_id = "delete",
    params(("conversation" = i64, Path, description = "number of the conversation")),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 204, description = "removed"), Unfound, Refusals),
)]
pub(super) async fn delete(
    request: HttpRequest,
    conversation: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let found = visit::conversation(&gateway, caller, visit::id(&conversation)?).await?;
    let thread = DeleteThreadRequest {
        user_id: found.owner_id.clone(),
        thread_id: found.thread_id.clone(),
    };
    gateway.backends.threads().delete_thread(thread).await?;
    let files = DeleteThreadAttachmentsRequest {
        user_id: found.owner_id,
        thread_id: found.thread_id,
    };
    let mut attachments = gateway.backends.attachments();
    if let Err(status) = attachments.delete_thread_attachments(files).await {
        // The conversation is gone, and asking again would only say so.
        let fault = Fault::from(status);
        tracing::error!(thread = found.number, %fault, "files of a deleted conversation are left over");
    }
    Ok(HttpResponse::NoContent().finish())
}
