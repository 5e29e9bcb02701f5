//! Signs of life that wait to leave a socket: one pong, one ping, before everything else.

use actix_ws::Message;
use bytes::Bytes;

/// Control frames that wait to leave.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pong: Option<Bytes>,
    ping: bool,
}

impl Outbox {
    /// Answers a ping. Of several that wait only the last is answered (RFC 6455 section 5.5.3).
    pub(super) fn pong(&mut self, content: Bytes) {
        self.pong = Some(content);
    }

    /// Asks the peer for a sign of life.
    pub(super) fn ping(&mut self) {
        self.ping = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pong.is_none() && !self.ping
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        if let Some(content) = self.pong.take() {
            return Some(Message::Pong(content));
        }
        std::mem::take(&mut self.ping).then(|| Message::Ping(Bytes::new()))
    }
}
