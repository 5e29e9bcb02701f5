//! Bytes of a peer → whole messages, with bounded memory.
//!
//! `actix_http`'s codec does the protocol (masks, opcodes, fragments, close codes), but it buffers a frame to its end
//! before it finds it too long, however long the header says it is. Therefore the header is looked at here first: of
//! a data frame beyond the limit the codec sees an empty one in its place, and the payload is dropped as it arrives.
//! So a socket holds at most one allowed message and one read of the network, and an over-long frame of any
//! announced length is answered like any other bad request, with the socket open.

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::ws::{Codec, Frame as Wire, Item};
use actix_ws::CloseReason;
use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;
use tokio_util::codec::Decoder;

use super::dialect::{Frame, Unreadable};

/// Control frames are no longer than this (RFC 6455 section 5.5).
const CONTROL_BYTES: u64 = 125;

/// What came from the peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A message, or what became of it.
    Message(Result<Frame, Unreadable>),
    Ping(Bytes),
    Pong,
    Close(Option<CloseReason>),
}

/// The peer broke the protocol; nothing after it can be understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation;

/// How long frames and messages may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) frame: usize,
    pub(crate) message: usize,
}

/// The messages in a stream of bytes; ends with it.
pub(crate) struct Messages<P> {
    payload: P,
    limits: Limits,
    codec: Codec,
    buffer: BytesMut,
    /// Bytes of an over-long frame that are still to come.
    skip: u64,
    /// Whether the message being read has had an over-long frame.
    too_large: bool,
    fragments: Option<Fragments>,
}

/// A message whose last frame has not come yet.
struct Fragments {
    text: bool,
    content: BytesMut,
}

impl<P> Messages<P> {
    pub(crate) fn new(payload: P, limits: Limits) -> Self {
        Self {
            payload,
            limits,
            codec: Codec::new().max_size(limits.frame),
            buffer: BytesMut::new(),
            skip: 0,
            too_large: false,
            fragments: None,
        }
    }

    /// What the messages were read from; what of it is not a whole message yet is dropped.
    pub(super) fn into_inner(self) -> P {
        self.payload
    }

    fn feed(&mut self, mut bytes: Bytes) {
        let dropped = self.skip.min(bytes.len() as u64);
        self.skip -= dropped;
        // Cannot exceed the chunk's length.
        bytes.advance(usize::try_from(dropped).unwrap_or(bytes.len()));
        if self.buffer.is_empty() {
            self.buffer = BytesMut::from(bytes);
        } else {
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// The next whole message of what is buffered.
    fn next_buffered(&mut self) -> Result<Option<Incoming>, Violation> {
        while let Some(frame) = self.next_frame()? {
            if let Some(incoming) = self.assemble(frame) {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    fn next_frame(&mut self) -> Result<Option<Wire>, Violation> {
        let Some(header) = Header::peek(&self.buffer) else {
            return Ok(None);
        };
        if header.control && header.payload > CONTROL_BYTES {
            return Err(Violation);
        }
        // A length beyond 63 bits is no length; the codec refuses it.
        let over =
            header.payload > self.limits.frame as u64 && i64::try_from(header.payload).is_ok();
        if !over {
            return self.codec.decode(&mut self.buffer).map_err(|_| Violation);
        }
        self.too_large = true;
        let mut emptied = header.emptied();
        self.buffer.advance(header.length);
        self.skip = header.payload;
        let rest = std::mem::take(&mut self.buffer).freeze();
        self.feed(rest);
        self.codec.decode(&mut emptied).map_err(|_| Violation)
    }

    fn assemble(&mut self, frame: Wire) -> Option<Incoming> {
        match frame {
            Wire::Text(content) => Some(self.whole(true, content)),
            Wire::Binary(content) => Some(self.whole(false, content)),
            Wire::Continuation(item) => self.fragment(item),
            Wire::Ping(content) => Some(Incoming::Ping(content)),
            Wire::Pong(_) => Some(Incoming::Pong),
            Wire::Close(reason) => Some(Incoming::Close(reason)),
        }
    }

    fn fragment(&mut self, item: Item) -> Option<Incoming> {
        match item {
            Item::FirstText(content) => self.first(true, &content),
            Item::FirstBinary(content) => self.first(false, &content),
            Item::Continue(content) => self.append(&content),
            Item::Last(content) => {
                self.append(&content);
                let message = self.fragments.take()?;
                return Some(self.whole(message.text, message.content.freeze()));
            }
        }
        None
    }

    fn first(&mut self, text: bool, content: &[u8]) {
        self.fragments = Some(Fragments {
            text,
            content: BytesMut::new(),
        });
        self.append(content);
    }

    fn append(&mut self, content: &[u8]) {
        let Some(message) = &mut self.fragments else {
            return;
        };
        if message.content.len() + content.len() > self.limits.message {
            self.too_large = true;
        }
        if self.too_large {
            message.content = BytesMut::new();
        } else {
            message.content.extend_from_slice(content);
        }
    }

    fn whole(&mut self, text: bool, content: Bytes) -> Incoming {
        let too_large = std::mem::take(&mut self.too_large);
        Incoming::Message(if too_large {
            Err(Unreadable::TooLarge)
        } else if text {
            ByteString::try_from(content)
                .map(Frame::Text)
                .map_err(|_| Unreadable::NotText)
        } else {
            Ok(Frame::Binary(content))
        })
    }
}

impl<P, E> Stream for Messages<P>
where
    P: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Incoming, Violation>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(incoming) = this.next_buffered().transpose() {
                return Poll::Ready(Some(incoming));
            }
            match ready!(Pin::new(&mut this.payload).poll_next(context)) {
                Some(Ok(bytes)) => this.feed(bytes),
                // A connection that broke is one that ended.
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

/// What the first bytes of a frame say of the rest.
struct Header {
    first: u8,
    masked: bool,
    control: bool,
    /// Length of the header itself, with the mask.
    length: usize,
    /// Length of what follows it.
    payload: u64,
}

impl Header {
    /// `None` while the header is not there to its end.
    fn peek(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (extended, payload) = match second & 0x7f {
            126 => (
                2,
                u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
            ),
            127 => (8, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (0, u64::from(short)),
        };
        let masked = second & 0x80 != 0;
        let length = 2 + extended + if masked { 4 } else { 0 };
        (bytes.len() >= length).then_some(Self {
            first,
            masked,
            control: first & 0x08 != 0,
            length,
            payload,
        })
    }

    /// The same frame without its payload.
    fn emptied(&self) -> BytesMut {
        let second = if self.masked { 0x80 } else { 0 };
        BytesMut::from(&[self.first, second, 0, 0, 0, 0][..])
    }
}
