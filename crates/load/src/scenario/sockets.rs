//! Sockets of people: opening many, and the text of what they send, which says who sent it, as which, and when it was due.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::Stage;
use crate::LoadError;
use crate::measure::count;
use crate::people::Person;
use crate::socket::Socket;

/// Connections that are being opened at a time.
const AT_ONCE: usize = 64;
/// How what is sent begins.
const MARK: &str = "load ";

/// Opens the planned sockets on a path, spread over people and gateways.
pub(super) async fn open(
    stage: &Arc<Stage>,
    people: &[Person],
    path: impl Fn(usize) -> String,
) -> Result<Vec<Socket>, LoadError> {
    stream::iter(0..stage.plan.sockets)
        .map(|index| {
            let person = &people[index % people.len()];
            let path = path(index);
            let separator = if path.contains('?') { '&' } else { '?' };
            let url = stage.front_end.socket_url(
                index / people.len(),
                &format!("{path}{separator}token={}", person.token),
            );
            async move {
                count(&stage.counts.begun);
                let socket = Socket::open(&url).await?;
                count(&stage.counts.done);
                Ok::<_, LoadError>(socket)
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

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
        let _ = write!(text, "{MARK}{} {}", self.sender, self.due.as_micros());
        text
    }

    /// Of a message's text; `None` for a text of somebody else's.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (sender, due) = text.strip_prefix(MARK)?.split_once(' ')?;
        Some(Self {
            sender: sender.parse().ok()?,
            due: Duration::from_micros(due.parse().ok()?),
        })
    }

    /// How long ago it was due.
    pub(super) fn age(self, stage: &Stage) -> Duration {
        stage.origin.elapsed().saturating_sub(self.due)
    }
}
