//! What is read by REST: a conversation, the conversations, the files of one.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::Reason;
use confab_rpc::sessions::Profile;
use confab_rpc::threads::{
    Conversation, EntryKind, GetConversationRequest, ListConversationsRequest, ThreadKind,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::fault::{self, Problem, Unauthorized};
use super::listing::{Cursor, Frame, Listing, Whose};
use super::wire::{Envelope, Message, Nothing, Pair, Said, User};
use crate::Gateway;

/// `"data": {"messages": […]}`
const CONVERSATION: Frame = Frame {
    open: "{\"messages\":[",
    close: "]}",
};

/// `"data": […]`
const FILES: Frame = Frame {
    open: "[",
    close: "]",
};

const RETRIEVED: &str = "Messages retrieved successfully";

/// Not of the original language. What is no number is as if it were not there.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Bounds {
    /// How many messages at most; all of them when it is missing.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
    /// Only messages before the one with this id.
    #[param(value_type = Option<i64>)]
    before: Option<String>,
}

impl Bounds {
    fn cursor(&self) -> Cursor {
        let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        Cursor {
            before: number(&self.before).filter(|id| *id > 0).unwrap_or(0),
            left: number(&self.limit)
                .filter(|limit| *limit > 0)
                .and_then(|limit| usize::try_from(limit).ok()),
        }
    }
}

/// Lists what was said between the caller and somebody, newest first.
#[utoipa::path(
    get,
    path = "/chat/messages/{uid}/",
    operation_id = "messages",
    params(("uid", description = "the other user's id"), Bounds),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = Envelope<Said>, description = "the messages"),
        (status = 401, body = Unauthorized, description = "no credential, or one that is not good"),
        (status = 404, body = Envelope<Nothing>, description = "no such user, oneself, or no such message to read before"),
        (status = 500, body = Envelope<Nothing>, description = "our fault"),
        (status = 503, body = Envelope<Nothing>, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn messages(
    request: HttpRequest,
    other: web::Path<String>,
    bounds: web::Query<Bounds>,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let listed = list_messages(&request, &other, &bounds, &gateway).await;
    listed.unwrap_or_else(|problem| problem.respond())
}

async fn list_messages(
    request: &HttpRequest,
    other: &str,
    bounds: &Bounds,
    gateway: &Gateway,
) -> Result<HttpResponse, Problem> {
    let user = fault::user(request, gateway).await?;
    let other: Uuid = other.parse().map_err(|_| Problem::Recipient)?;
    if other == user {
        return Err(Problem::Recipient);
    }
    let other = recipient(gateway, other).await?;
    let listing = Listing {
        backends: gateway.backends.clone(),
        viewer: user,
        own: profile(gateway, user).await?,
        other,
        whose: Whose::Pair,
        kinds: Vec::new(),
    };
    let listed = listing.respond(bounds.cursor(), CONVERSATION, RETRIEVED);
    match listed.await {
        Err(fault) if fault.reason == Reason::ThreadNotFound => Ok(no_messages()),
        listed => Ok(listed?),
    }
}

fn no_messages() -> HttpResponse {
    let empty = Said {
        messages: Vec::new(),
    };
    HttpResponse::Ok().json(Envelope::success(&empty, Some(RETRIEVED)))
}

/// Lists the files of one of the caller's threads, newest first.
#[utoipa::path(
    get,
    path = "/chat/thread/files/{thread}/",
    operation_id = "files",
    params(("thread", description = "`thread` of a message")),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = Envelope<Vec<Message>>, description = "the messages with files"),
        (status = 401, body = Unauthorized, description = "no credential, or one that is not good"),
        (status = 404, body = Envelope<Nothing>, description = "no such thread, or not the caller's"),
        (status = 500, body = Envelope<Nothing>, description = "our fault"),
        (status = 503, body = Envelope<Nothing>, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn files(
    request: HttpRequest,
    thread: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> HttpResponse {
    let listed = list_files(&request, &thread, &gateway).await;
    listed.unwrap_or_else(|problem| problem.respond())
}

async fn list_files(
    request: &HttpRequest,
    thread: &str,
    gateway: &Gateway,
) -> Result<HttpResponse, Problem> {
    let user = fault::user(request, gateway).await?;
    let get = GetConversationRequest {
        user_id: user.to_string(),
        thread: thread.parse().map_err(|_| Problem::Thread)?,
    };
    let found = gateway.backends.people().get_conversation(get).await?;
    let conversation = found.into_inner();
    if conversation.kind() != ThreadKind::Direct {
        return Err(Problem::Thread);
    }
    let other = other_of(&conversation, user);
    let known = people(gateway, vec![user.to_string(), other.clone()]).await?;
    let listing = Listing {
        backends: gateway.backends.clone(),
        viewer: user,
        own: shown(&known, &user.to_string()),
        other: shown(&known, &other),
        whose: Whose::Thread(conversation.number),
        kinds: vec![EntryKind::File],
    };
    let newest = Cursor {
        before: 0,
        left: None,
    };
    let listed = listing.respond(newest, FILES, "Files retrieved successfully");
    Ok(listed.await?)
}

/// Lists whom the caller talks to, the last active first.
#[utoipa::path(
    get,
    path = "/chat/user/threads/",
    operation_id = "threads",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = Envelope<Vec<Thread>>, description = "the threads"),
        (status = 401, body = Unauthorized, description = "no credential, or one that is not good"),
        (status = 500, body = Envelope<Nothing>, description = "our fault"),
        (status = 503, body = Envelope<Nothing>, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn threads(request: HttpRequest, gateway: web::Data<Gateway>) -> HttpResponse {
    let listed = list_threads(&request, &gateway).await;
    listed.unwrap_or_else(|problem| problem.respond())
}

/// Whom the caller talks to, and what was said last.
#[derive(Serialize, ToSchema)]
struct Thread {
    id: i64,
    #[schema(value_type = User)]
    other_user: Box<RawValue>,
    #[schema(value_type = Option<Message>)]
    last_message: Option<Box<RawValue>>,
}

async fn list_threads(request: &HttpRequest, gateway: &Gateway) -> Result<HttpResponse, Problem> {
    let user = fault::user(request, gateway).await?;
    let list = ListConversationsRequest {
        user_id: user.to_string(),
        kinds: vec![ThreadKind::Direct.into()],
        limit: 0,
    };
    let found = gateway.backends.people().list_conversations(list).await?;
    let conversations = found.into_inner().conversations;
    let others = conversations.iter().map(|it| other_of(it, user));
    let mut ids: Vec<String> = others.collect();
    ids.push(user.to_string());
    let known = people(gateway, ids).await?;
    let own = shown(&known, &user.to_string());
    let others: Vec<_> = conversations
        .iter()
        .map(|it| shown(&known, &other_of(it, user)))
        .collect();
    let threads: Vec<_> = conversations
        .iter()
        .zip(&others)
        .map(|(conversation, other)| {
            let pair = Pair::seen_by(user, &own, other);
            let newest = conversation.last_message.as_ref();
            Thread {
                id: conversation.number,
                last_message: newest
                    .and_then(|entry| pair.render(entry))
                    .and_then(|json| RawValue::from_string(json).ok()),
                other_user: pair.into_other(),
            }
        })
        .collect();
    Ok(HttpResponse::Ok().json(Envelope::success(&threads, None)))
}

/// The member of a thread between two people who is not the caller.
fn other_of(conversation: &Conversation, user: Uuid) -> String {
    let user = user.to_string();
    let mut members = conversation.members.iter();
    members.find(|id| **id != user).cloned().unwrap_or_default()
}

/// Somebody who can be written to.
pub(super) async fn recipient(gateway: &Gateway, id: Uuid) -> Result<Arc<Profile>, Problem> {
    let known = gateway.live.people().profile(&id.to_string()).await?;
    known.ok_or(Problem::Recipient)
}

/// Somebody who is there for sure, or was.
pub(super) async fn profile(gateway: &Gateway, id: Uuid) -> Result<Arc<Profile>, Problem> {
    let known = gateway.live.people().profile(&id.to_string()).await?;
    Ok(known.unwrap_or_else(|| nameless(&id.to_string())))
}

async fn people(
    gateway: &Gateway,
    ids: Vec<String>,
) -> Result<HashMap<String, Arc<Profile>>, Problem> {
    Ok(gateway.live.people().profiles(&ids).await?)
}

fn shown(known: &HashMap<String, Arc<Profile>>, id: &str) -> Arc<Profile> {
    known.get(id).cloned().unwrap_or_else(|| nameless(id))
}

/// A user who has gone, of whom messages are left.
fn nameless(id: &str) -> Arc<Profile> {
    Arc::new(Profile {
        user_id: id.to_owned(),
        ..Profile::default()
    })
}
