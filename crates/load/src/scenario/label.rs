//! What the text of a message says: which socket sent it, and when it was due.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::Instant;

use super::Stage;

/// How what is sent begins.
const MARK: &str = "load ";

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// The socket that sent it.
    pub(super) sender: usize,
    /// Since the stage's origin.
    pub(super) due: Duration,
}

impl Label {
    pub(super) fn new(stage: &Stage, sender: usize, due: Instant) -> Self {
        Self {
            sender,
            due: due.duration_since(stage.origin),
        }
    }

    /// As the text of a message.
    pub(super) fn text(self) -> String {
        let mut text = String::with_capacity(40);
        // Writing to a string does not fail.
        let _ = write!(text, "{MARK}{} {}", self.sender, self.due.as_nanos());
        text
    }

    /// Of a message's text; `None` for a text of somebody else's.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (sender, due) = text.strip_prefix(MARK)?.split_once(' ')?;
        Some(Self {
            sender: sender.parse().ok()?,
            due: Duration::from_nanos(due.parse().ok()?),
        })
    }

    /// How long ago it was due.
    pub(super) fn age(self, stage: &Stage) -> Duration {
        stage.origin.elapsed().saturating_sub(self.due)
    }
}
