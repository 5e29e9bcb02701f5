//! The short way to a peer: a frame for a socket on which nothing waits is written by whoever has it.
//!
//! To wake a socket's task for each frame, only that it writes it, costs more than the writing. Where one message goes to a
//! thousand sockets that is most of what can be saved.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use super::dialect::Frame;

/// This side of a connection, for the task that serves it and for its [`Line`]. It is closed when both are gone.
#[derive(Debug, Clone)]
pub(crate) struct Half(Arc<OwnedWriteHalf>);

impl Half {
    pub(crate) fn new(half: OwnedWriteHalf) -> Self {
        Self(Arc::new(half))
    }

    /// Writes what the kernel takes.
    fn poll_write_with(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.as_ref().as_ref().poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for Half {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |half| half.try_write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing: it is closed when it is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A connection to which frames may be written from any thread, one at a time.
#[derive(Debug)]
pub(super) struct Line {
    half: Half,
    /// The end of a frame whose beginning has left.
    rest: Bytes,
}

impl Line {
    pub(super) fn new(half: Half) -> Self {
        Self {
            half,
            rest: Bytes::new(),
        }
    }

    /// Writes a frame, if the kernel takes it now. `false`: not a byte of it has left.
    pub(super) fn write(&mut self, frame: &Frame) -> bool {
        let Some(head) = Head::of(frame) else {
            return false;
        };
        let (head, content) = (head.bytes(), frame.bytes());
        let parts = [IoSlice::new(head), IoSlice::new(content)];
        // A connection that broke is noticed by the task that reads from it.
        let Ok(written @ 1..) = self.half.0.try_write_vectored(&parts) else {
            return false;
        };
        if written < head.len() + content.len() {
            let mut rest = [head, content].concat();
            self.rest = rest.split_off(written).into();
        }
        true
    }

    /// Whether a frame has left in part only.
    pub(super) fn is_within_frame(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Writes the end of the frame whose beginning has left.
    pub(super) fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let rest = &self.rest;
            match ready!(
                self.half
                    .poll_write_with(context, |half| half.try_write(rest))
            )? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.rest.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What stands before a frame's content on its way from the server: a whole message, unmasked (RFC 6455 section 5.2).
struct Head {
    bytes: [u8; 4],
    length: usize,
}

impl Head {
    /// `None` for a content of more than 65,535 bytes, which the kernel would hardly take at once.
    fn of(frame: &Frame) -> Option<Self> {
        const LAST: u8 = 0x80;
        let opcode = match frame {
            Frame::Text(_) => 1,
            Frame::Binary(_) => 2,
        };
        let [high, low] = u16::try_from(frame.bytes().len()).ok()?.to_be_bytes();
        Some(if high == 0 && low < 126 {
            Self {
                bytes: [LAST | opcode, low, 0, 0],
                length: 2,
            }
        } else {
            Self {
                bytes: [LAST | opcode, 126, high, low],
                length: 4,
            }
        })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
