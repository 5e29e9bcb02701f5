//! Replies and pushes, exactly as on the wire.

use chrono::SecondsFormat;
use confab_rpc::sessions::Profile;
use confab_rpc::threads::{Conversation, Entry, EntryKind};
use confab_rpc::time;
use prost_types::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::request::Refused;

/// A frame to a front end.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "camelCase")]
pub(super) enum Reply {
    ChatsList(Vec<Chat>),
    EmptyChatCreated(Chat),
    ChatJoined(Joined),
    ChatDetails(Chat),
    MessageCreated(Message),
    ChatMessages(Vec<Message>),
}

impl Reply {
    pub(super) fn render(&self) -> String {
        // Strings, numbers and lists of them: nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_else(|_| failure(Refused::Unexpected))
    }
}

/// A frame that says something to people.
#[derive(Serialize, ToSchema)]
pub(super) struct Notice<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: Kind,
}

/// What kind of thing it says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// A request was not done.
    Error,
    /// A request had been done before.
    Info,
}

impl Notice<'_> {
    fn render(&self) -> String {
        // A text always becomes JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The frame that says why a request is not done.
pub(super) fn failure(why: Refused) -> String {
    let notice = Notice {
        message: why.text(),
        kind: Kind::Error,
    };
    notice.render()
}

/// The frame for somebody who joins a chat again.
pub(super) fn already() -> String {
    let notice = Notice {
        message: "You are already a participant in this chat.",
        kind: Kind::Info,
    };
    notice.render()
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) username: String,
}

impl From<&Profile> for User {
    fn from(profile: &Profile) -> Self {
        Self {
            id: profile.number,
            username: profile.username.clone(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Chat {
    id: i64,
    participants: Vec<User>,
    created_at: String,
    updated_at: String,
}

impl Chat {
    pub(super) fn of(chat: &Conversation, participants: Vec<User>) -> Self {
        Self {
            id: chat.number,
            participants,
            created_at: timestamp(chat.created_at),
            updated_at: timestamp(chat.active_at),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Joined {
    /// As the request named it: a number, or one in digits.
    pub(super) chat: Value,
    pub(super) user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_read_message: Option<Value>,
    pub(super) seq: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message {
    id: i64,
    chat: i64,
    sender: User,
    text: String,
    timestamp: String,
    is_read: bool,
    sender_username: String,
    seq: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_msg_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attached_file_name: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    attached_profile: String,
}

impl Message {
    /// A message, or the one that an announcement is about; `seq` is then the announcement's.
    pub(super) fn of(entry: &Entry, sender: User, is_read: bool) -> Self {
        let announced = entry.announced.as_deref();
        let shown = announced
            .filter(|_| entry.kind() == EntryKind::Announcement)
            .unwrap_or(entry);
        Self {
            id: shown.id,
            chat: entry.thread,
            sender_username: sender.username.clone(),
            sender,
            text: shown.content.clone(),
            timestamp: timestamp(shown.created_at),
            is_read,
            seq: entry.seq,
            client_msg_id: shown.client_msg_id.clone(),
            attached_file_name: shown.attachments.first().map(|file| {
                let name = Some(&file.title).filter(|title| !title.is_empty());
                name.unwrap_or(&file.name).clone()
            }),
            attached_profile: shown.profile_id.clone(),
        }
    }
}

fn timestamp(at: Option<Timestamp>) -> String {
    let at = at.and_then(time::from_wire).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
