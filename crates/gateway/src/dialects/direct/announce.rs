//! How an entry of a thread between two people looks to their sockets: `re_message` for the receiver, `conf_message` for
//! the sender.

use bytestring::ByteString;
use confab_rpc::sessions::Profile;
use confab_rpc::threads::{AttachmentRef, Entry, EntryKind, ThreadKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::media;
use super::text::{self, Zone};
use crate::docs::schema;
use crate::live::{Announcement, Announcer, Known};

/// This language, as far as it shows entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct DirectAnnouncer;

/// What the sender's own sockets are told.
const CONFIRMED: &str = "conf_message";

/// What the receiver's sockets are told.
const RECEIVED: &str = "re_message";

impl Announcer for DirectAnnouncer {
    fn needs(&self, entry: &Entry) -> Vec<String> {
        match entry.kind() {
            EntryKind::Profile if is_direct(entry) => vec![entry.profile_id.clone()],
            _ => Vec::new(),
        }
    }

    fn announce(&self, entry: &Entry, known: &Known) -> Announcement {
        if !is_direct(entry) {
            return Announcement::default();
        }
        Announcement {
            to_author: render(entry, known, CONFIRMED),
            to_others: render(entry, known, RECEIVED),
        }
    }
}

fn is_direct(entry: &Entry) -> bool {
    entry.thread_kind() == ThreadKind::Direct
}

/// One frame; `None` when sockets of this language hear nothing of the entry. An uploaded file is heard of when it is
/// announced.
fn render(entry: &Entry, known: &Known, action: &'static str) -> Option<ByteString> {
    let json = match entry.kind() {
        EntryKind::Text => serde_json::to_string(&Text::of(entry, action)),
        EntryKind::Announcement => {
            let message = entry.announced.as_deref()?;
            let file = message.attachments.first()?;
            serde_json::to_string(&File::of(entry, message, file, action))
        }
        EntryKind::Profile => {
            let profile = known.get(&entry.profile_id).map(AsRef::as_ref);
            serde_json::to_string(&Shared::of(entry, profile, action))
        }
        _ => return None,
    };
    json.ok().map(Into::into)
}

/// The key of a send is between the sender and the server.
fn client_msg_id<'a>(entry: &'a Entry, action: &str) -> &'a str {
    if action == CONFIRMED {
        &entry.client_msg_id
    } else {
        ""
    }
}

fn timestamp(entry: &Entry) -> String {
    text::time(entry.created_at, Zone::Offset)
}

#[derive(Serialize, ToSchema)]
pub(super) struct Text<'a> {
    sender_id: &'a str,
    receiver_id: &'a str,
    message: &'a str,
    timestamp: String,
    created_msg_id: i64,
    message_type: &'static str,
    action: &'static str,
    message_body: &'a str,
    thread: i64,
    seq: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_msg_id: &'a str,
}

impl<'a> Text<'a> {
    fn of(entry: &'a Entry, action: &'static str) -> Self {
        Self {
            sender_id: &entry.author_id,
            receiver_id: &entry.receiver_id,
            message: &entry.content,
            timestamp: timestamp(entry),
            created_msg_id: entry.id,
            message_type: "text",
            action,
            message_body: &entry.content,
            thread: entry.thread,
            seq: entry.seq,
            client_msg_id: client_msg_id(entry, action),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct File<'a> {
    message_body: &'a str,
    attached_file_name: &'a str,
    attached_file_size: String,
    sender_id: &'a str,
    receiver_id: &'a str,
    timestamp: String,
    created_msg_id: i64,
    action: &'static str,
    message_type: &'static str,
    message: &'a str,
    attached_file: String,
    thread: i64,
    seq: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_msg_id: &'a str,
}

impl<'a> File<'a> {
    /// The message is the one that was uploaded; its place in what a socket hears is the announcement's.
    fn of(
        entry: &'a Entry,
        message: &'a Entry,
        file: &'a AttachmentRef,
        action: &'static str,
    ) -> Self {
        Self {
            message_body: &message.content,
            attached_file_name: media::title(file),
            attached_file_size: text::size(Some(file.size)),
            sender_id: &message.author_id,
            receiver_id: &message.receiver_id,
            timestamp: timestamp(message),
            created_msg_id: message.id,
            action,
            message_type: "file",
            message: &message.content,
            attached_file: media::path(file),
            thread: entry.thread,
            seq: entry.seq,
            client_msg_id: client_msg_id(entry, action),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Shared<'a> {
    sender_id: &'a str,
    receiver_id: &'a str,
    #[schema(schema_with = schema::null)]
    message: Option<()>,
    timestamp: String,
    created_msg_id: i64,
    attached_profile: Card<'a>,
    message_type: &'static str,
    action: &'static str,
    #[schema(schema_with = schema::null)]
    message_body: Option<()>,
    thread: i64,
    seq: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_msg_id: &'a str,
}

/// A user's card.
#[derive(Serialize, ToSchema)]
struct Card<'a> {
    id: &'a str,
    fullname: &'a str,
    phone_number: &'a str,
}

impl<'a> Shared<'a> {
    fn of(entry: &'a Entry, profile: Option<&'a Profile>, action: &'static str) -> Self {
        Self {
            sender_id: &entry.author_id,
            receiver_id: &entry.receiver_id,
            message: None,
            timestamp: timestamp(entry),
            created_msg_id: entry.id,
            attached_profile: Card::of(entry, profile, action),
            message_type: "user_profile",
            action,
            message_body: None,
            thread: entry.thread,
            seq: entry.seq,
            client_msg_id: client_msg_id(entry, action),
        }
    }
}

impl<'a> Card<'a> {
    /// A phone number is its owner's: it is shown to them, and to others when it was they who shared their card.
    fn of(entry: &'a Entry, profile: Option<&'a Profile>, action: &str) -> Self {
        let viewer = if action == CONFIRMED {
            &entry.author_id
        } else {
            &entry.receiver_id
        };
        let shown = entry.profile_id == entry.author_id || entry.profile_id == *viewer;
        Self {
            id: &entry.profile_id,
            fullname: profile.map_or("", |profile| &profile.fullname),
            phone_number: profile
                .filter(|_| shown)
                .map_or("", |profile| &profile.phone_number),
        }
    }
}
