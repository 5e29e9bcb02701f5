//! What the sockets of a chat are told of entries.

use bytestring::ByteString;
use confab_rpc::threads::{Entry, EntryKind};

use super::wire::{Joined, Message, Reply, User};
use crate::live::{Announcement, Announcer, Known};

/// This room's ear.
pub(super) struct Chats {
    pub(super) push: bool,
}

impl Announcer for Chats {
    fn needs(&self, entry: &Entry) -> Vec<String> {
        if self.push && is_shown(entry) {
            vec![entry.author_id.clone()]
        } else {
            Vec::new()
        }
    }

    fn announce(&self, entry: &Entry, known: &Known) -> Announcement {
        if !self.push || !is_shown(entry) {
            return Announcement::default();
        }
        let Some(author) = known.get(&entry.author_id) else {
            return Announcement::default();
        };
        let user = User::from(author.as_ref());
        if entry.kind() == EntryKind::Joined {
            let joined = Joined {
                chat: entry.thread.into(),
                user,
                last_read_message: None,
                seq: entry.seq,
            };
            let frame = Some(ByteString::from(Reply::ChatJoined(joined).render()));
            return Announcement {
                to_author: frame.clone(),
                to_others: frame,
            };
        }
        let shown = |is_read| {
            let message = Message::of(entry, user.clone(), is_read);
            Some(ByteString::from(Reply::MessageCreated(message).render()))
        };
        Announcement {
            to_author: shown(true),
            to_others: shown(false),
        }
    }
}

/// A file is told of when its sender announces it, not when it is stored.
fn is_shown(entry: &Entry) -> bool {
    matches!(
        entry.kind(),
        EntryKind::Text | EntryKind::Profile | EntryKind::Announcement | EntryKind::Joined
    )
}
