//! From entries and conversations to the contract's messages.

use confab_rpc::{Fault, threads as wire, time};
use uuid::Uuid;

/// Below the 4 MiB that a gRPC client accepts.
const LIST_BYTES: usize = 3 * 1024 * 1024;

use crate::people::{EntryKind, Place};
use crate::store::people::{Conversation, Stored};

impl From<Stored> for wire::Entry {
    fn from(stored: Stored) -> Self {
        let Stored {
            row,
            place,
            announced,
        } = stored;
        let (kind, receiver) = match place {
            Place::Direct(pair) => (
                wire::ThreadKind::Direct,
                pair.other(row.author_id).to_string(),
            ),
            Place::Group(_) => (wire::ThreadKind::Group, String::new()),
        };
        Self {
            id: row.id,
            thread: row.thread,
            thread_kind: kind.into(),
            seq: row.seq,
            kind: wire::EntryKind::from(row.kind).into(),
            author_id: row.author_id.to_string(),
            receiver_id: receiver,
            content: row.content,
            attachments: row.attachments.0.into_iter().map(Into::into).collect(),
            profile_id: row.profile_id.map(text).unwrap_or_default(),
            read_seq: row.read_seq.unwrap_or_default(),
            refers_to: row.refers_to.unwrap_or_default(),
            announced: announced.map(|file| Box::new((*file).into())),
            client_msg_id: row.client_msg_id.unwrap_or_default(),
            created_at: Some(time::to_wire(row.created_at)),
            updated_at: Some(time::to_wire(row.updated_at)),
            membership_version: row.membership_version,
            traceparent: row.traceparent.unwrap_or_default(),
        }
    }
}

impl From<Conversation> for wire::Conversation {
    fn from(conversation: Conversation) -> Self {
        let row = conversation.row;
        Self {
            number: row.number,
            id: row.id.to_string(),
            kind: wire::ThreadKind::from(row.kind).into(),
            owner_id: row.owner_id.to_string(),
            members: conversation.members.into_iter().map(text).collect(),
            last_seq: row.last_seq,
            last_message: conversation.last_message.map(Into::into),
            read_seq: conversation.read_seq,
            unread: conversation.unread,
            created_at: Some(time::to_wire(row.created_at)),
            active_at: Some(time::to_wire(row.active_at)),
        }
    }
}

impl From<EntryKind> for wire::EntryKind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::Text => Self::Text,
            EntryKind::File => Self::File,
            EntryKind::Profile => Self::Profile,
            EntryKind::Joined => Self::Joined,
            EntryKind::Read => Self::Read,
            EntryKind::Announcement => Self::Announcement,
        }
    }
}

/// As many of a list's conversations as a reply has room for, from its beginning.
pub(crate) fn fitting(conversations: Vec<Conversation>) -> Vec<wire::Conversation> {
    let mut bytes = 0;
    let conversations = conversations.into_iter().map(wire::Conversation::from);
    let fitting = conversations.take_while(|conversation| {
        bytes += prost::Message::encoded_len(conversation);
        bytes <= LIST_BYTES
    });
    fitting.collect()
}

/// The outcome of a send that stands for an entry.
pub(crate) fn sent(call: u64, entry: wire::Entry, replayed: bool) -> wire::Sent {
    wire::Sent {
        call,
        outcome: Some(wire::sent::Outcome::Entry(entry)),
        replayed,
    }
}

/// The outcome of a send that is refused.
pub(crate) fn refused(call: u64, fault: Fault) -> wire::Sent {
    wire::Sent {
        call,
        outcome: Some(wire::sent::Outcome::Fault(fault.into())),
        replayed: false,
    }
}

/// A thread's end.
pub(crate) fn position((thread, seq): (i64, i64)) -> wire::Position {
    wire::Position { thread, seq }
}

/// A user's coming into a thread.
pub(crate) fn arrival((user, thread, joined_seq): (Uuid, i64, i64)) -> wire::Arrival {
    wire::Arrival {
        user_id: user.to_string(),
        thread,
        joined_seq,
    }
}

pub(crate) fn text(id: Uuid) -> String {
    id.to_string()
}
