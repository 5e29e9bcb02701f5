//! What a wire language is to the socket loop: frames in, frames out.

use std::future::Future;

use actix_ws::Message;
use bytes::Bytes;
use bytestring::ByteString;

use super::Ending;

/// One whole message of a peer, or for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Opcode 1.
    Text(ByteString),
    /// Opcode 2.
    Binary(Bytes),
}

impl Frame {
    /// What is in it, whatever the opcode.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// A frame of the same opcode with another content.
    pub(crate) fn with(&self, text: String) -> Self {
        match self {
            Self::Text(_) => Self::Text(text.into()),
            Self::Binary(_) => Self::Binary(text.into()),
        }
    }
}

impl From<Frame> for Message {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text),
            Frame::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// Frames in the order in which they leave.
pub(crate) type Frames = Vec<Frame>;

/// A message that cannot be handed to a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Longer than a frame or message may be. Its bytes were dropped as they came.
    TooLarge,
    /// A text that is not UTF-8.
    NotText,
}

/// One wire language on one socket. It holds a caller and the backends, no socket: values in, values out.
pub(crate) trait Dialect {
    /// For logs.
    const NAME: &'static str;

    /// Answers one message. The next one is handed over when this answer is on its way. Runs to its end also when the
    /// peer has gone, so what it does to services need not be undone.
    fn on_frame(&self, frame: Frame) -> impl Future<Output = Frames>;

    /// Answers a message that could not be read, in its turn.
    fn on_unreadable(&self, why: Unreadable) -> Frames;

    /// Resolves when the socket must go although nothing is wrong with it; by default never.
    fn dismissed(&self) -> impl Future<Output = Ending> {
        std::future::pending()
    }
}
