//! What waits to leave a socket. Bounded without a limit of its own: one answer, one pong, one ping.

use std::collections::VecDeque;

use actix_ws::Message;
use bytes::Bytes;

use super::dialect::{Frame, Frames};

/// What waits to leave, control frames first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pong: Option<Bytes>,
    ping: bool,
    replies: VecDeque<Frame>,
}

impl Outbox {
    /// Adds an answer.
    pub(super) fn extend(&mut self, frames: Frames) {
        self.replies.extend(frames);
    }

    /// Answers a ping. Of several that wait only the last is answered (RFC 6455 section 5.5.3).
    pub(super) fn pong(&mut self, content: Bytes) {
        self.pong = Some(content);
    }

    /// Asks the peer for a sign of life.
    pub(super) fn ping(&mut self) {
        self.ping = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pong.is_none() && !self.ping && self.replies.is_empty()
    }

    pub(super) fn has_replies(&self) -> bool {
        !self.replies.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        if let Some(content) = self.pong.take() {
            return Some(Message::Pong(content));
        }
        if std::mem::take(&mut self.ping) {
            return Some(Message::Ping(Bytes::new()));
        }
        Some(match self.replies.pop_front()? {
            Frame::Text(text) => Message::Text(text),
            Frame::Binary(bytes) => Message::Binary(bytes),
        })
    }
}
