//! A connection that was handed over: messages → bytes → its peer, and the bytes that come back.
//!
//! Nothing is kept for a connection on which nothing happens: bytes are read into the stack and copied as far as they go,
//! and what waits to be written has a buffer only while it waits.

#[cfg(test)]
mod tests;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::Codec;
use actix_ws::{Closed, Message};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::codec::Encoder;

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// Bytes that may wait for a peer that takes nothing, and one message.
const WAITING: usize = 32 * 1024;

/// What a peer sends, in pieces as they come.
pub(crate) struct Reader<R> {
    half: R,
    /// What came along with the request for the socket.
    begun: Bytes,
}

impl<R> Reader<R> {
    pub(crate) fn new(half: R, begun: Bytes) -> Self {
        Self { half, begun }
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Takes what the peer still sends, unread, until it closes its side: a connection that is closed with something
    /// unread is reset, and the last frame to the peer is lost with it.
    pub(crate) async fn drain(&mut self) {
        while let Some(Ok(_)) = self.next().await {}
    }
}

impl<R: AsyncRead + Unpin> Stream for Reader<R> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.begun.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.begun))));
        }
        let mut space = [MaybeUninit::uninit(); READ];
        let mut read = ReadBuf::uninit(&mut space);
        let come = ready!(Pin::new(&mut self.half).poll_read(context, &mut read));
        Poll::Ready(match (come, read.filled()) {
            (Err(error), _) => Some(Err(error)),
            (Ok(()), []) => None,
            (Ok(()), bytes) => Some(Ok(Bytes::copy_from_slice(bytes))),
        })
    }
}

/// Messages on their way to a peer. What is sent leaves with the next flush; closing it closes this side of the
/// connection.
pub(crate) struct Writer<W> {
    half: W,
    codec: Codec,
    waiting: BytesMut,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(crate) fn new(half: W) -> Self {
        Self {
            half,
            codec: Codec::new(),
            waiting: BytesMut::new(),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        while !self.waiting.is_empty() {
            match ready!(Pin::new(&mut self.half).poll_write(context, &self.waiting)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Closed)),
                Ok(written) => self.waiting.advance(written),
            }
        }
        self.waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> Sink<Message> for Writer<W> {
    type Error = Closed;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        if self.waiting.len() < WAITING {
            return Poll::Ready(Ok(()));
        }
        self.poll_write(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        let Self { codec, waiting, .. } = &mut *self;
        codec.encode(message, waiting).map_err(|_| Closed)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_write(context)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        ready!(self.poll_write(context))?;
        let closed = ready!(Pin::new(&mut self.half).poll_shutdown(context));
        Poll::Ready(closed.map_err(|_| Closed))
    }
}
