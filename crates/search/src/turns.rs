//! One at a time per thread: two searches of a process do not make the same vectors twice.

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use uuid::Uuid;

/// Threads share this many turns. That two of them wait for each other for nothing costs less than a table of turns.
const TURNS: u8 = u8::MAX;

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }

    /// Waits for a thread's turn, which lasts until what is returned is dropped. Nobody may wait for a second one.
    /// `None`: it did not come in time.
    pub(crate) async fn take(
        &self,
        thread: Uuid,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'_, ()>> {
        // The last byte of an id is random.
        let last = usize::from(thread.as_bytes()[15]);
        let turn = &self.0[last % self.0.len()];
        match until {
            Some(until) => tokio::time::timeout_at(until, turn.lock()).await.ok(),
            None => Some(turn.lock().await),
        }
    }
}
