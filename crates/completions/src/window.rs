//! What the next question of a thread is put after, kept from the last one: a conversation that goes on is not read anew.
//!
//! A log only grows, but for what is deleted, which its thread counts, and for answers that are being written. So what was
//! read up to a place is what would be read there again, as long as nothing was deleted, if nothing was being written.
//! Whoever takes a window from here has asked the thread who may see it and where it stands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use confab_rpc::threads::{Message, MessageState, Thread};
use moka::sync::Cache;
use uuid::Uuid;

use crate::context::{has_said_something, turn};
use crate::provider::Turn;

#[cfg(test)]
mod tests;

/// The most text that is kept, in bytes.
const KEPT_BYTES: u64 = 32 * 1024 * 1024;
/// What a turn takes beside its text.
const TURN_BYTES: usize = 64;
/// A thread in which nothing is asked for so long is forgotten.
const IDLE: Duration = Duration::from_mins(10);

/// Where a thread's log stands; the default is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// The last message that is seen.
    pub(crate) last_seq: i64,
    /// What is summarised is not seen.
    pub(crate) summary_seq: i64,
    pub(crate) deletions: i64,
}

impl Place {
    /// Where the thread stands.
    pub(crate) fn of(thread: &Thread) -> Self {
        Self {
            last_seq: thread.last_seq,
            summary_seq: thread.summary_seq,
            deletions: thread.deletions,
        }
    }
}

/// The newest messages of a thread that count, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) turns: Vec<Turn>,
    /// For a model that can read more tokens there may be older messages.
    pub(crate) most_tokens: u32,
    /// No answer among them was being written.
    pub(crate) settled: bool,
}

impl Window {
    /// Of a thread without messages.
    pub(crate) fn empty() -> Self {
        Self {
            turns: Vec::new(),
            most_tokens: u32::MAX,
            settled: true,
        }
    }

    fn bytes(&self) -> usize {
        let turns = self.turns.iter();
        turns.map(|turn| turn.content.len() + TURN_BYTES).sum()
    }
}

/// The windows of the threads in which something was asked lately.
pub(crate) struct Windows(Cache<Uuid, (Place, Arc<Window>)>);

/// Without what was said.
impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Windows").finish_non_exhaustive()
    }
}

impl Default for Windows {
    fn default() -> Self {
        let windows = Cache::builder()
            .weigher(|_, (_, window): &(Place, Arc<Window>)| {
                u32::try_from(window.bytes() + TURN_BYTES).unwrap_or(u32::MAX)
            })
            .max_capacity(KEPT_BYTES)
            .time_to_idle(IDLE)
            .build();
        Self(windows)
    }
}

impl Windows {
    /// What would be read at that place for a model that can read so many tokens.
    pub(crate) fn at(&self, thread: Uuid, place: Place, tokens: u32) -> Option<Arc<Window>> {
        let (kept, window) = self.0.get(&thread)?;
        (kept == place && tokens <= window.most_tokens).then_some(window)
    }

    /// Keeps what was read at that place.
    pub(crate) fn keep(&self, thread: Uuid, place: Place, window: Arc<Window>) {
        if window.settled {
            self.0.insert(thread, (place, window));
        }
    }

    /// Adds the exchange that follows upon that place and is over, of which no more than `most` messages are seen from now on.
    pub(crate) fn go_on(
        &self,
        thread: Uuid,
        place: Place,
        question: &Message,
        answer: &Message,
        most: usize,
    ) {
        let follows = question.seq == place.last_seq + 1
            && answer.seq == question.seq + 1
            && answer.state() != MessageState::Streaming;
        let before = if place.last_seq == 0 {
            Some(Arc::new(Window::empty()))
        } else {
            self.at(thread, place, 0)
        };
        let Some(before) = before.filter(|_| follows) else {
            return;
        };
        let mut window = Arc::unwrap_or_clone(before);
        if has_said_something(answer) {
            window.turns.extend([turn(question), turn(answer)]);
            let left = window.turns.len().saturating_sub(most);
            window.turns.drain(..left);
        }
        let place = Place {
            last_seq: answer.seq,
            ..place
        };
        self.keep(thread, place, Arc::new(window));
    }
}
