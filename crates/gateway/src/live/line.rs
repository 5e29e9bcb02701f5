//! The rule by which one thread's entries become one line without holes or repetitions, whatever hints do.

#[cfg(feature = "faults")]
mod faults;

use std::collections::BTreeMap;

/// Hints that wait for a hole to be read; further ones are only remembered by how far the log goes.
const WAITING: usize = 1024;

/// The entries of one thread on their way out: those up to `seq` have left. `<= seq` is dropped, `= seq + 1` leaves,
/// what is beyond waits until the hole before it was read.
#[derive(Debug)]
pub(super) struct Line<T> {
    seq: i64,
    waiting: BTreeMap<i64, T>,
    /// How far the log is known to go.
    tail: i64,
    reading: bool,
    #[cfg(feature = "faults")]
    gone: std::collections::BTreeSet<i64>,
}

impl<T> Line<T> {
    /// A line of which everything up to `seq` counts as gone.
    pub(super) fn after(seq: i64) -> Self {
        Self {
            seq,
            waiting: BTreeMap::new(),
            tail: seq,
            reading: false,
            #[cfg(feature = "faults")]
            gone: std::collections::BTreeSet::new(),
        }
    }

    /// The last one that has left.
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// Goes back, so that entries after `seq` leave once more. The caller sees to it who gets them.
    pub(super) fn rewind(&mut self, seq: i64) {
        self.note(self.seq);
        self.seq = self.seq.min(seq);
    }

    /// Takes an entry, or gives it back when it has left or waits already, or too much waits.
    pub(super) fn offer(&mut self, seq: i64, item: T) -> Result<(), T> {
        #[cfg(feature = "faults")]
        self.misplace(seq);
        #[cfg(feature = "faults")]
        if self.gone.contains(&seq) {
            return Err(item);
        }
        if seq <= self.seq || self.waiting.contains_key(&seq) {
            return Err(item);
        }
        self.note(seq);
        if self.waiting.len() >= WAITING && seq != self.seq + 1 {
            return Err(item);
        }
        self.waiting.insert(seq, item);
        Ok(())
    }

    /// An entry that waits.
    pub(super) fn waiting(&mut self, seq: i64) -> Option<&mut T> {
        self.waiting.get_mut(&seq)
    }

    /// The log is said to go up to `seq`.
    pub(super) fn note(&mut self, seq: i64) {
        #[cfg(feature = "faults")]
        if faults::is_on("no_repair") {
            return;
        }
        self.tail = self.tail.max(seq);
    }

    /// The entry whose turn it is.
    pub(super) fn next(&self) -> Option<&T> {
        #[cfg(feature = "faults")]
        if faults::is_on("no_order") {
            return self.waiting.values().next();
        }
        self.waiting.get(&(self.seq + 1))
    }

    /// Lets it leave.
    pub(super) fn take_next(&mut self) -> Option<T> {
        #[cfg(feature = "faults")]
        if faults::is_on("no_order") {
            return self.take_any();
        }
        let item = self.waiting.remove(&(self.seq + 1))?;
        self.seq += 1;
        Some(item)
    }

    /// After which entry the log has to be read, when there is a hole and nobody reads it yet; from now on somebody does.
    pub(super) fn begin_reading(&mut self) -> Option<i64> {
        let hole = self.next().is_none() && self.tail > self.seq;
        if self.reading || !hole {
            return None;
        }
        self.reading = true;
        Some(self.seq)
    }

    /// Whether something waits and nobody is at it.
    pub(super) fn is_stuck(&self) -> bool {
        !self.reading && (self.tail > self.seq || self.next().is_some())
    }

    /// The reader is done.
    pub(super) fn end_reading(&mut self) {
        self.reading = false;
    }
}
