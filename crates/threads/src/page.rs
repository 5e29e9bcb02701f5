//! How much a reply holds: which threads of a list, which part of a log. With the limits of text all of it stays below
//! the 4 MiB that a gRPC client accepts.

use std::ops::RangeInclusive;

/// The most threads of a list.
const THREADS: u32 = 10_000;
/// The most messages of a page.
pub(crate) const MESSAGES: u32 = 500;
/// The most bytes of text and files of a page. It has one message at least, which is hardly longer.
pub(crate) const BYTES: i64 = 2 * 1024 * 1024;

/// The part of a log that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Only messages after this one.
    pub(crate) after: i64,
    /// Only messages before this one.
    pub(crate) before: i64,
    /// Count from the newest end.
    pub(crate) newest: bool,
    /// The most messages.
    pub(crate) limit: u32,
}

impl Bounds {
    /// Bounds as they are asked for; 0 is no bound, or the longest page.
    pub(crate) fn new(after: i64, before: i64, newest: bool, limit: u32) -> Self {
        Self {
            after,
            before: if before == 0 { i64::MAX } else { before },
            newest,
            limit: at_most(limit, MESSAGES),
        }
    }
}

/// How many threads a list has, as asked for; 0 is the longest list.
pub(crate) fn listed(limit: u32) -> u32 {
    at_most(limit, THREADS)
}

pub(crate) fn at_most(asked: u32, most: u32) -> u32 {
    if asked == 0 { most } else { asked.min(most) }
}

/// One message's place and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) seq: i64,
    pub(crate) bytes: i64,
}

/// What a page holds, and whether there is more between the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// `None`: nothing.
    pub(crate) seqs: Option<RangeInclusive<i64>>,
    pub(crate) more: bool,
}

/// Fills a page from messages in the order in which they are counted, until one does not fit. It has one at least.
pub(crate) fn fill(extents: &[Extent], limit: u32, most_bytes: i64) -> Page {
    let mut bytes = 0;
    let fitting = extents
        .iter()
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .enumerate()
        .take_while(|(position, extent)| {
            bytes += extent.bytes;
            *position == 0 || bytes <= most_bytes
        })
        .count();
    let page = &extents[..fitting];
    let seqs = page
        .first()
        .zip(page.last())
        .map(|(first, last)| first.seq.min(last.seq)..=first.seq.max(last.seq));
    Page {
        seqs,
        more: fitting < extents.len(),
    }
}
