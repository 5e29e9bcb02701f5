//! Who comes into a thread with an entry, and from where on they hear it.

use std::collections::HashMap;

use confab_rpc::threads::{Entry, EntryKind, ThreadKind};

use super::listeners::User;

/// Who may be new in the thread with this entry.
pub(super) fn newcomers(entry: &Entry) -> impl Iterator<Item = &str> {
    let direct = entry.thread_kind() == ThreadKind::Direct;
    let joined = entry.kind() == EntryKind::Joined;
    let author = (direct || joined).then_some(entry.author_id.as_str());
    let receiver = direct.then_some(entry.receiver_id.as_str());
    author.into_iter().chain(receiver)
}

/// After which entry a thread begins here that had no listener; `None` when it still has none.
pub(super) fn start(users: &HashMap<String, User>, entry: &Entry) -> Option<i64> {
    let mut here = newcomers(entry).filter_map(|id| users.get(id)).peekable();
    here.peek()?;
    Some(beginning(entry, here.all(|user| user.complete)))
}

/// After which entry a thread begins for who is new in it with this one, and whose threads were `complete`. A direct thread
/// that a user did not have is new from its first entry on; of another one the past is past.
pub(super) fn beginning(entry: &Entry, complete: bool) -> i64 {
    if complete && entry.thread_kind() == ThreadKind::Direct {
        0
    } else {
        entry.seq - 1
    }
}
