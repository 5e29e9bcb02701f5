//! The body of an answer, cut into JSON texts: events, or the one text of a server that does not stream. What they say
//! is not looked at here.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::events::{Events, LARGEST};
use crate::provider::{Cause, Failure};

const DONE: &str = "[DONE]";

/// A body; the error says in words how the connection broke.
pub(super) type Body = BoxStream<'static, Result<Bytes, String>>;

/// What is left of a body. Holds the connection: dropping it closes that.
pub(super) struct RawReading {
    body: Body,
    shape: Shape,
    ready: VecDeque<Result<Raw, Failure>>,
}

/// A part of a body. Nothing follows the last two, or an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// The data of an event.
    Event(String),
    /// The whole answer.
    Whole(String),
    /// The server says that this was all.
    Done,
    /// There is no more, for this reason.
    Over(String),
}

/// What a server sends is told by its first byte, because its content type is not always true.
enum Shape {
    Unknown,
    Events(Events),
    Whole(Vec<u8>),
}

impl RawReading {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            shape: Shape::Unknown,
            ready: VecDeque::new(),
        }
    }

    /// The next part, however long it takes.
    pub(super) async fn next(&mut self) -> Result<Raw, Failure> {
        loop {
            if let Some(part) = self.ready.pop_front() {
                return part;
            }
            match self.body.next().await {
                Some(Ok(chunk)) => self.take(&chunk),
                Some(Err(cause)) => self.ready.push_back(Ok(Raw::Over(cause))),
                None => {
                    self.take_whole();
                    let over = Raw::Over("it ended early".to_owned());
                    self.ready.push_back(Ok(over));
                }
            }
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
                        Ok(data) if data.trim() == DONE => self.ready.push_back(Ok(Raw::Done)),
                        Ok(data) => self.ready.push_back(Ok(Raw::Event(data))),
                        Err(malformed) => self.fail(malformed.to_string()),
                    }
                }
            }
        }
    }

    fn take_whole(&mut self) {
        if let Shape::Whole(text) = &mut self.shape {
            match String::from_utf8(std::mem::take(text)) {
                Ok(text) => self.ready.push_back(Ok(Raw::Whole(text))),
                Err(_) => self.fail("the answer is not UTF-8"),
            }
        }
    }

    fn fail(&mut self, text: impl Into<String>) {
        self.ready
            .push_back(Err(Failure::new(Cause::Provider, text)));
    }
}
