//! What a room does to be told of entries.

use bytestring::ByteString;
use confab_rpc::threads::Entry;

use super::people::Known;

/// How a room shows an entry of a log to its sockets. One entry is shown once per room, however many sockets there are.
pub(crate) trait Announcer: Send + Sync + 'static {
    /// Ids of the users whose profiles [`Announcer::announce`] looks at. Empty when the room does not show this entry.
    fn needs(&self, entry: &Entry) -> Vec<String>;

    /// The frames of an entry. A user of `needs` whom nobody knows (any more) is missing in `known`.
    fn announce(&self, entry: &Entry, known: &Known) -> Announcement;
}

/// The frames of one entry in one room's language; `None`: nothing is pushed to these sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// For the sockets of the entry's author.
    pub(crate) to_author: Option<ByteString>,
    /// For the sockets of everybody else in the thread.
    pub(crate) to_others: Option<ByteString>,
}
