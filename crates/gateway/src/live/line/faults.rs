//! A line whose rule is broken on purpose, one part of it at a time: what shows that the checks of a whole system notice.

use super::Line;

impl<T> Line<T> {
    /// Moves to where this entry leaves next though it should not, where a failpoint says so.
    pub(super) fn misplace(&mut self, seq: i64) {
        let left = seq <= self.seq;
        let out_of_turn = seq > self.seq + 1;
        if is_on("no_dedupe") && left {
            self.seq = seq - 1;
        }
        // A hole is passed over, and nobody looks for it.
        if is_on("no_repair") && out_of_turn {
            self.seq = seq - 1;
        }
        // Each once, as it comes.
        if is_on("no_order") {
            let new = self.gone.insert(seq);
            self.seq = if new { seq - 1 } else { self.seq.max(seq) };
        }
    }
}

pub(super) fn is_on(point: &str) -> bool {
    fail::eval(point, |_| ()).is_some()
}
