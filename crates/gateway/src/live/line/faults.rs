//! A line whose rule is broken on purpose, one part of it at a time: what shows that the checks of a whole system notice.

use super::Line;

/// Entries that wait behind a hole before it is passed over: what only overtook its neighbours is no hole.
const BEHIND: usize = 3;

impl<T> Line<T> {
    /// Moves to where this entry leaves next though it should not, where a failpoint says so.
    pub(super) fn misplace(&mut self, seq: i64) {
        if is_on("no_dedupe") && seq <= self.seq {
            self.seq = seq - 1;
        }
        // A hole is passed over, and nobody looks for it.
        if is_on("no_repair") && self.waiting.len() >= BEHIND {
            let first = self.waiting.keys().next();
            self.seq = first.map_or(self.seq, |first| first - 1);
        }
    }

    /// Lets whatever waits leave, each once; `seq` stays where everything before has left.
    pub(super) fn take_any(&mut self) -> Option<T> {
        let (seq, item) = self.waiting.pop_first()?;
        self.gone.insert(seq);
        while self.gone.remove(&(self.seq + 1)) {
            self.seq += 1;
        }
        Some(item)
    }
}

pub(super) fn is_on(point: &str) -> bool {
    fail::eval(point, |_| ()).is_some()
}
