//! Threads between people, before they are stored: pairs, entries to be written, and who else they may concern.

mod known;
mod send;
mod window;

use uuid::Uuid;

pub(crate) use known::Known;
pub(crate) use send::{EntryKind, Marker, NewEntry};
pub(crate) use window::{Whose, Window};

/// Two different people, in the one order that makes their thread unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) low: Uuid,
    pub(crate) high: Uuid,
}

impl Pair {
    /// `None` for one person alone.
    pub(crate) fn of(one: Uuid, other: Uuid) -> Option<Self> {
        (one != other).then(|| Self {
            low: one.min(other),
            high: one.max(other),
        })
    }

    /// The one who is not `user`.
    pub(crate) fn other(self, user: Uuid) -> Uuid {
        if user == self.low {
            self.high
        } else {
            self.low
        }
    }

    pub(crate) fn holds(self, user: Uuid) -> bool {
        user == self.low || user == self.high
    }
}

/// What a thread between people is; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The thread of two people, which their first message makes.
    Direct(Pair),
    /// A group, by its number.
    Group(i64),
}
