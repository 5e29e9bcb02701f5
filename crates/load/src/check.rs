//! Whether what was received is right: each once, in order, without a hole.

use std::fmt::Display;
use std::ops::Add;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What was found wrong. All of it must be 0.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    doubled: AtomicU64,
    reordered: AtomicU64,
    gaps: AtomicU64,
    lost: AtomicU64,
    errors: AtomicU64,
    /// What the first error said.
    first: OnceLock<String>,
}

/// [`Checks`] as they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Wrongs {
    /// Received twice by one socket.
    pub(crate) doubled: u64,
    /// Received before what was sent before it.
    pub(crate) reordered: u64,
    /// Places where a thread's `seq` skipped a number.
    pub(crate) gaps: u64,
    /// Acknowledged, and never received by a socket that should have.
    pub(crate) lost: u64,
    /// Refused, broken off, or never answered.
    pub(crate) errors: u64,
}

impl Wrongs {
    /// Whether a promise was broken; an error is none.
    pub(crate) fn is_none(&self) -> bool {
        self.doubled + self.reordered + self.gaps + self.lost == 0
    }
}

impl Add for Wrongs {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            doubled: self.doubled + other.doubled,
            reordered: self.reordered + other.reordered,
            gaps: self.gaps + other.gaps,
            lost: self.lost + other.lost,
            errors: self.errors + other.errors,
        }
    }
}

impl Checks {
    pub(crate) fn now(&self) -> Wrongs {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Wrongs {
            doubled: read(&self.doubled),
            reordered: read(&self.reordered),
            gaps: read(&self.gaps),
            lost: read(&self.lost),
            errors: read(&self.errors),
        }
    }

    pub(crate) fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn doubled(&self) {
        self.doubled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reordered(&self) {
        self.reordered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was refused or broke off.
    pub(crate) fn error(&self, what: &impl Display) {
        self.errors(1, what);
    }

    /// The same, so often.
    pub(crate) fn errors(&self, count: u64, what: &impl Display) {
        self.errors.fetch_add(count, Ordering::Relaxed);
        if count > 0 {
            self.first.get_or_init(|| what.to_string());
        }
    }

    /// What the first error said.
    pub(crate) fn first_error(&self) -> Option<&str> {
        self.first.get().map(String::as_str)
    }
}

/// What one socket has seen of one thread.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// The highest `seq`; 0: nothing yet.
    pub(crate) seq: i64,
}

impl Seen {
    /// Takes note of an entry; false when it is one that was there already or came out of order.
    pub(crate) fn take(&mut self, seq: i64, checks: &Checks) -> bool {
        if seq == self.seq {
            checks.doubled();
            return false;
        }
        if seq < self.seq {
            checks.reordered();
            return false;
        }
        // The first one shows where the thread stood.
        if self.seq != 0 && seq != self.seq + 1 {
            checks.gap();
        }
        self.seq = seq;
        true
    }
}
