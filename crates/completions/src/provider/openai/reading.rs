//! The body of an answer, read piece by piece: events, or one JSON text from a server that does not stream.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde_json::Value;
use tokio::time::timeout;

use super::events::{Events, LARGEST};
use super::retry::{Again, Failure, is_transient};
use super::wire;
use crate::provider::{Answer, Bill, End, Piece, ProviderError};

const DONE: &str = "[DONE]";
/// The longest finish reason that is kept.
const REASON_CHARS: usize = 64;

/// A body; the error says in words how the connection broke.
pub(super) type Body = BoxStream<'static, Result<Bytes, String>>;

/// What is left of an answer. Holds the connection: dropping it closes that.
pub(super) struct Reading {
    body: Body,
    shape: Shape,
    /// Read, but not handed out. Nothing follows an error or an end.
    ready: VecDeque<Result<Piece, Failure>>,
    bill: Bill,
    /// Why the model has finished; empty when it did without a word for it.
    finished: Option<String>,
}

/// What a server sends is told by its first byte, because its content type is not always true.
enum Shape {
    Unknown,
    Events(Events),
    Whole(Vec<u8>),
}

impl Reading {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            shape: Shape::Unknown,
            ready: VecDeque::new(),
            bill: Bill::Unknown,
            finished: None,
        }
    }

    /// The next piece, however long it takes.
    pub(super) async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return piece;
            }
            match self.body.next().await {
                Some(Ok(chunk)) => self.take(&chunk),
                Some(Err(cause)) => self.end(&cause),
                None => {
                    self.take_whole();
                    self.end("it ended early");
                }
            }
        }
    }

    /// The answer from `first` on. Each further piece may take `idle`.
    pub(super) fn into_answer(self, first: Piece, idle: Duration) -> Answer {
        let rest = match first {
            Piece::Text(_) => Some(self),
            Piece::End(_) => None,
        };
        let rest = stream::unfold(rest, move |reading| async move {
            let mut reading = reading?;
            let piece = reading.next_within(idle).await;
            let more = matches!(piece, Ok(Piece::Text(_))).then_some(reading);
            Some((piece, more))
        });
        stream::once(async { Ok(first) }).chain(rest).boxed()
    }

    async fn next_within(&mut self, idle: Duration) -> Result<Piece, ProviderError> {
        match timeout(idle, self.next()).await {
            Ok(piece) => piece.map_err(|failure| failure.error),
            Err(_) if self.finished.is_some() => Ok(self.the_end()),
            Err(_) => Err(ProviderError::Failed(format!(
                "no text for {} ms",
                idle.as_millis()
            ))),
        }
    }

    fn take(&mut self, chunk: &[u8]) {
        let begin = match &self.shape {
            Shape::Unknown => chunk.iter().position(|byte| !byte.is_ascii_whitespace()),
            _ => Some(0),
        };
        let Some(chunk) = begin.and_then(|begin| chunk.get(begin..)) else {
            return;
        };
        if matches!(self.shape, Shape::Unknown) {
            self.shape = match chunk.first() {
                Some(b'{') => Shape::Whole(Vec::new()),
                Some(_) => Shape::Events(Events::default()),
                None => Shape::Unknown,
            };
        }
        match &mut self.shape {
            Shape::Unknown => {}
            Shape::Whole(text) if text.len() + chunk.len() > LARGEST => {
                self.fail("the answer is too large");
            }
            Shape::Whole(text) => text.extend_from_slice(chunk),
            Shape::Events(events) => {
                for event in events.feed(chunk) {
                    match event {
                        Ok(data) => self.take_event(&data),
                        Err(malformed) => self.fail(malformed.to_string()),
                    }
                }
            }
        }
    }

    fn the_end(&self) -> Piece {
        Piece::End(End {
            bill: self.bill,
            finish_reason: self.finished.clone().filter(|reason| !reason.is_empty()),
        })
    }

    fn take_event(&mut self, data: &str) {
        if data.trim() == DONE {
            return self.ready.push_back(Ok(self.the_end()));
        }
        match serde_json::from_str(data) {
            Ok(event) => self.take_json(&event),
            Err(_) => self.fail("an event is not JSON"),
        }
    }

    fn take_json(&mut self, answer: &Value) {
        if let Some(refusal) = wire::refusal(answer) {
            return self.ready.push_back(Err(refused(&refusal)));
        }
        if let Some(bill) = wire::bill(answer) {
            self.bill = bill;
        }
        if let Some(text) = wire::text(answer) {
            self.ready.push_back(Ok(Piece::Text(text.to_owned())));
        }
        if let Some(reason) = wire::finish_reason(answer) {
            self.finished = Some(reason.chars().take(REASON_CHARS).collect());
        }
    }

    fn take_whole(&mut self) {
        let Shape::Whole(text) = &self.shape else {
            return;
        };
        match serde_json::from_slice(text) {
            Ok(answer) => {
                self.finished = wire::text(&answer).map(|_| String::new());
                self.take_json(&answer);
            }
            Err(_) => self.fail("the answer is not JSON"),
        }
    }

    /// Some servers hang up when the model has finished, without saying that they are done.
    fn end(&mut self, cause: &str) {
        self.ready.push_back(if self.finished.is_some() {
            Ok(self.the_end())
        } else {
            Err(Failure::new(
                Again::Soon,
                format!("the answer was cut: {cause}"),
            ))
        });
    }

    fn fail(&mut self, text: impl Into<String>) {
        self.ready.push_back(Err(Failure::new(Again::Never, text)));
    }
}

fn refused(refusal: &wire::Refusal) -> Failure {
    if refusal.too_long {
        return Failure::too_long();
    }
    let status = refusal.code.parse().unwrap_or_default();
    let again = if is_transient(status) {
        Again::Soon
    } else {
        Again::Never
    };
    Failure::new(again, format!("the answer broke off: {}", refusal.code))
}
