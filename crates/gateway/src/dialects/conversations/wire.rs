//! Bodies as they are on the wire.

use chrono::SecondsFormat;
use confab_rpc::completions::{self, RunState};
use confab_rpc::sessions;
use confab_rpc::threads::{self, AuthorKind, Thread};
use confab_rpc::{search, time};
use prost_types::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Who is to be made, or signs in.
#[derive(Deserialize, ToSchema)]
pub(super) struct Credentials {
    pub(super) username: String,
    /// In open mode it may be missing.
    #[schema(value_type = Option<String>, format = Password)]
    pub(super) password: Option<SecretString>,
}

/// A user.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) username: String,
}

impl From<sessions::User> for User {
    fn from(user: sessions::User) -> Self {
        Self {
            id: user.number,
            username: user.username,
        }
    }
}

/// Who has signed in.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    pub(super) id: i64,
    pub(super) username: String,
    /// For clients without cookies: `Authorization: Bearer …`.
    pub(super) token: String,
}

/// A conversation to begin.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewConversation {
    pub(super) title: String,
    /// Whose it is; in token mode it may be missing.
    pub(super) user_id: Option<i64>,
}

/// What changes; other keys are ignored.
#[derive(Deserialize, ToSchema)]
pub(super) struct ConversationChange {
    pub(super) title: Option<String>,
}

/// A conversation, with its number under both names that front ends read.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "front ends read both names")]
pub(super) struct Conversation {
    id: i64,
    conversation_id: i64,
    title: String,
    user_id: i64,
    created_at: String,
}

impl Conversation {
    /// A thread of the user with this number.
    pub(super) fn new(thread: Thread, user: i64) -> Self {
        Self {
            id: thread.number,
            conversation_id: thread.number,
            title: thread.title,
            user_id: user,
            created_at: iso(thread.created_at),
        }
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
    System,
}

impl From<Role> for AuthorKind {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::Person,
            Role::Assistant => Self::Model,
            Role::System => Self::System,
        }
    }
}

impl From<AuthorKind> for Role {
    fn from(author: AuthorKind) -> Self {
        match author {
            AuthorKind::Model => Self::Assistant,
            AuthorKind::System => Self::System,
            AuthorKind::Person | AuthorKind::Unspecified => Self::User,
        }
    }
}

/// A message to store.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewMessage {
    pub(super) role: Role,
    pub(super) content: String,
    /// Where it goes, when the path does not say so.
    pub(super) conversation_id: Option<i64>,
    /// The same key gives the same message. `Idempotency-Key` counts more.
    pub(super) client_msg_id: Option<String>,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message {
    id: i64,
    role: Role,
    content: String,
    conversation_id: i64,
    created_at: String,
    /// Its place in the conversation: 1, 2, 3 …
    seq: i64,
}

impl Message {
    /// A message of the thread with this number.
    pub(super) fn new(message: threads::Message, conversation: i64) -> Self {
        Self {
            id: message.id,
            role: message.author_kind().into(),
            conversation_id: conversation,
            created_at: iso(message.created_at),
            seq: message.seq,
            content: message.content,
        }
    }
}

/// How a conversation is to be completed.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct Complete {
    #[serde(default)]
    pub(super) stream: bool,
    /// Stored, in this order, before the answer.
    #[serde(default)]
    pub(super) messages: Vec<Turn>,
    /// The same key gives the same answer. `Idempotency-Key` counts more.
    pub(super) client_msg_id: Option<String>,
}

/// A message that comes with the request for an answer.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Turn {
    pub(super) role: Role,
    pub(super) content: String,
}

/// A whole answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Completed {
    /// The number of the stored message, as a text.
    id: String,
    choices: [Choice; 1],
}

#[derive(Serialize, ToSchema)]
struct Choice {
    index: u32,
    finish_reason: Stop,
    message: Said,
}

/// What an answer, or an event of it, says.
#[derive(Serialize, ToSchema)]
struct Said {
    role: Role,
    content: String,
}

/// The only word that front ends take, on every event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Stop {
    Stop,
}

impl Completed {
    pub(super) fn new(message: i64, content: String) -> Self {
        let role = Role::Assistant;
        Self {
            id: message.to_string(),
            choices: [Choice {
                index: 0,
                finish_reason: Stop::Stop,
                message: Said { role, content },
            }],
        }
    }
}

/// An event of an answer that is streamed.
#[derive(Serialize, ToSchema)]
pub(super) struct Chunk {
    /// The number of the stored message.
    id: i64,
    choices: [ChunkChoice; 1],
    /// Always empty.
    model: &'static str,
}

#[derive(Serialize, ToSchema)]
struct ChunkChoice {
    index: u32,
    delta: Said,
    finish_reason: Stop,
}

impl Chunk {
    pub(super) fn new(message: i64, content: String) -> Self {
        let role = Role::Assistant;
        Self {
            id: message,
            choices: [ChunkChoice {
                index: 0,
                delta: Said { role, content },
                finish_reason: Stop::Stop,
            }],
            model: "",
        }
    }
}

/// One attempt to answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Run {
    id: String,
    conversation_id: i64,
    /// The answer; `null` while it has no place in the conversation.
    message_id: Option<i64>,
    /// `running`, `complete`, `interrupted`, `failed` or `cancelled`.
    state: &'static str,
    model: String,
    provider: String,
    input_tokens: u32,
    output_tokens: u32,
    cost_microdollars: i64,
    /// The provider's word; empty: none yet.
    finish_reason: String,
    started_at: String,
    /// Empty while it goes on.
    ended_at: String,
}

impl Run {
    /// A run in the thread with this number.
    pub(super) fn new(run: completions::Run, conversation: i64) -> Self {
        let usage = run.usage.unwrap_or_default();
        Self {
            conversation_id: conversation,
            message_id: Some(run.answer_id).filter(|id| *id > 0),
            state: match run.state() {
                RunState::Running | RunState::Unspecified => "running",
                RunState::Complete => "complete",
                RunState::Interrupted => "interrupted",
                RunState::Failed => "failed",
                RunState::Cancelled => "cancelled",
            },
            id: run.id,
            model: run.model,
            provider: run.provider,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_microdollars: run.cost_microdollars,
            finish_reason: run.finish_reason,
            started_at: iso(run.started_at),
            ended_at: iso(run.ended_at),
        }
    }
}

/// Where a stream of a run begins.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Start {
    /// How many bytes of the answer the caller has; `Last-Event-ID` counts more.
    pub(super) offset: Option<String>,
}

/// What is looked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    pub(super) q: Option<String>,
    /// How many messages at most: 1 to 100.
    pub(super) limit: Option<u32>,
    /// Only in this conversation.
    pub(super) conversation_id: Option<i64>,
}

/// What is looked for, in a body.
#[derive(Deserialize, ToSchema)]
pub(super) struct Search {
    /// Whose messages; in token mode it may be missing.
    pub(super) user_id: Option<i64>,
    #[serde(alias = "q")]
    pub(super) query: Option<String>,
    /// How many messages at most: 1 to 100.
    pub(super) limit: Option<u32>,
    /// Only in this conversation.
    pub(super) conversation_id: Option<i64>,
}

/// A message that was found.
#[derive(Serialize, ToSchema)]
pub(super) struct Hit {
    message: Message,
    conversation_id: i64,
    title: String,
    /// 0 to 1; 1: the same.
    similarity: f64,
}

impl From<search::Hit> for Hit {
    fn from(hit: search::Hit) -> Self {
        let thread = hit.thread.unwrap_or_default();
        Self {
            message: Message::new(hit.message.unwrap_or_default(), thread.number),
            conversation_id: thread.number,
            title: thread.title,
            similarity: hit.similarity,
        }
    }
}

/// ISO 8601 in UTC, to the millisecond; empty when there is no such time.
fn iso(at: Option<Timestamp>) -> String {
    let at = at.and_then(time::from_wire);
    at.map_or_else(String::new, |at| {
        at.to_rfc3339_opts(SecondsFormat::Millis, true)
    })
}
