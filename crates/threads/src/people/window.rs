//! Which history is asked for, and which part of it.

use chrono::{DateTime, Utc};

use super::{EntryKind, Pair};

/// Whose history.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    /// Of a conversation with this number.
    Thread(i64),
    /// Of the direct thread of these two.
    Pair(Pair),
}

/// Bounds that combine; message ids bound by their messages' places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) before: Option<i64>,
    pub(crate) after: Option<i64>,
    /// Half of the page on either side of this message.
    pub(crate) around: Option<i64>,
    /// Included.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Excluded.
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) kinds: Vec<EntryKind>,
    /// Count from the newest end.
    pub(crate) newest: bool,
    pub(crate) limit: u32,
}
