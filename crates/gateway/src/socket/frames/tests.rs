use std::convert::Infallible;

use actix_http::ws::{CloseCode, Codec, Item, Message};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use tokio_util::codec::Encoder;

use super::{Frame, Incoming, Limits, Messages, Unreadable, Violation};

const LIMITS: Limits = Limits {
    frame: 64,
    message: 100,
};

/// Messages as a client writes them.
fn written(messages: Vec<Message>) -> Bytes {
    let mut bytes = BytesMut::new();
    let mut codec = Codec::new().client_mode();
    for message in messages {
        codec.encode(message, &mut bytes).unwrap();
    }
    bytes.freeze()
}

/// What is read of bytes that come in these chunks.
fn read(chunks: Vec<Bytes>) -> Vec<Result<Incoming, Violation>> {
    let payload = stream::iter(chunks.into_iter().map(Ok::<_, Infallible>));
    let mut messages = Messages::new(payload, LIMITS);
    let mut all = Vec::new();
    while let Some(incoming) = messages.next().now_or_never().unwrap() {
        let broken = incoming.is_err();
        all.push(incoming);
        if broken {
            break;
        }
    }
    all
}

fn text(content: &str) -> Incoming {
    Incoming::Message(Ok(Frame::Text(content.into())))
}

fn unreadable(why: Unreadable) -> Incoming {
    Incoming::Message(Err(why))
}

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![b'x'; length])
}

fn long_text(length: usize) -> Message {
    Message::Text("x".repeat(length).into())
}

#[test]
fn a_frame_at_the_limit_is_read_and_one_beyond_it_is_answered() {
    let stream = written(vec![
        long_text(64),
        long_text(65),
        Message::Binary(bytes(70_000)),
        Message::Text("after".into()),
    ]);
    assert_eq!(
        read(vec![stream]),
        [
            Ok(text(&"x".repeat(64))),
            Ok(unreadable(Unreadable::TooLarge)),
            Ok(unreadable(Unreadable::TooLarge)),
            Ok(text("after")),
        ]
    );
}

#[test]
fn a_fragmented_message_is_put_together_around_control_frames() {
    let stream = written(vec![
        Message::Continuation(Item::FirstText("one ".into())),
        Message::Ping("?".into()),
        Message::Continuation(Item::Continue("two ".into())),
        Message::Continuation(Item::Last("three".into())),
        Message::Continuation(Item::FirstBinary("a".into())),
        Message::Continuation(Item::Last("b".into())),
        Message::Close(Some(CloseCode::Normal.into())),
    ]);
    assert_eq!(
        read(vec![stream]),
        [
            Ok(Incoming::Ping("?".into())),
            Ok(text("one two three")),
            Ok(Incoming::Message(Ok(Frame::Binary("ab".into())))),
            Ok(Incoming::Close(Some(CloseCode::Normal.into()))),
        ]
    );
}

#[test]
fn a_message_of_small_frames_is_answered_when_it_is_too_large_in_all() {
    let stream = written(vec![
        Message::Continuation(Item::FirstText(bytes(60))),
        Message::Continuation(Item::Continue(bytes(41))),
        Message::Continuation(Item::Last(bytes(1))),
        Message::Continuation(Item::FirstText(bytes(60))),
        Message::Continuation(Item::Last(bytes(40))),
    ]);
    assert_eq!(
        read(vec![stream]),
        [
            Ok(unreadable(Unreadable::TooLarge)),
            Ok(text(&"x".repeat(100)))
        ]
    );
}

#[test]
fn an_over_long_fragment_spoils_its_message_only() {
    for position in 0..3 {
        let content = |at| if at == position { bytes(65) } else { bytes(5) };
        let stream = written(vec![
            Message::Continuation(Item::FirstText(content(0))),
            Message::Continuation(Item::Continue(content(1))),
            Message::Continuation(Item::Last(content(2))),
            Message::Text("after".into()),
        ]);
        assert_eq!(
            read(vec![stream]),
            [Ok(unreadable(Unreadable::TooLarge)), Ok(text("after"))]
        );
    }
}

#[tokio::test]
async fn a_giant_is_answered_at_its_header_and_never_held() {
    let mut header = BytesMut::from(&[0x81, 0x80 | 127][..]);
    header.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    header.extend_from_slice(&[1, 2, 3, 4]);
    let chunk = bytes(1024 * 1024);
    let chunks = std::iter::once(header.freeze()).chain(std::iter::repeat_n(chunk, 64));
    let payload = stream::iter(chunks.map(Ok::<_, Infallible>));
    let mut messages = Messages::new(payload, LIMITS);
    assert_eq!(
        messages.next().await.unwrap(),
        Ok(unreadable(Unreadable::TooLarge))
    );
    assert!(messages.next().await.is_none());
    assert_eq!(messages.buffer.len(), 0);
    assert_eq!(messages.skip, (1 << 40) - (64 << 20));
}

#[test]
fn text_that_is_not_utf8_is_answered() {
    // 0xff masked with zeros.
    let stream = Bytes::from_static(&[0x81, 0x81, 0, 0, 0, 0, 0xff]);
    let after = written(vec![Message::Text("after".into())]);
    assert_eq!(
        read(vec![stream, after]),
        [Ok(unreadable(Unreadable::NotText)), Ok(text("after"))]
    );
}

#[test]
fn what_is_no_websocket_is_a_violation_before_it_is_buffered() {
    let unmasked: &[u8] = &[0x81, 0x01, b'x'];
    let unmasked_giant: &[u8] = &[0x81, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0];
    let reserved_bits: &[u8] = &[0xc1, 0x81, 0, 0, 0, 0, b'x'];
    let unknown_opcode: &[u8] = &[0x83, 0x81, 0, 0, 0, 0, b'x'];
    let long_ping: &[u8] = &[0x89, 0xfe, 0x10, 0, 0, 0, 0, 0];
    let length_of_64_bits: &[u8] = &[0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let continuation_of_nothing: &[u8] = &[0x80, 0x80, 0, 0, 0, 0];
    for stream in [
        unmasked,
        unmasked_giant,
        reserved_bits,
        unknown_opcode,
        long_ping,
        length_of_64_bits,
        continuation_of_nothing,
    ] {
        let stream = Bytes::from_static(stream);
        assert_eq!(read(vec![stream.clone()]), [Err(Violation)], "{stream:?}");
    }
}

fn message() -> impl Strategy<Value = Vec<Message>> {
    prop_oneof![
        (0_usize..200).prop_map(|length| vec![long_text(length)]),
        (0_usize..200).prop_map(|length| vec![Message::Binary(bytes(length))]),
        (0_usize..126).prop_map(|length| vec![Message::Ping(bytes(length))]),
        prop::collection::vec(0_usize..80, 2..5).prop_map(|lengths| {
            let last = lengths.len() - 1;
            let fragment = |(at, length)| match at {
                0 => Item::FirstText(bytes(length)),
                at if at == last => Item::Last(bytes(length)),
                _ => Item::Continue(bytes(length)),
            };
            let fragments = lengths.into_iter().enumerate().map(fragment);
            fragments.map(Message::Continuation).collect()
        }),
    ]
}

proptest! {
    /// Where the network cuts does not matter.
    #[test]
    fn messages_do_not_depend_on_chunks(
        messages in prop::collection::vec(message(), 0..8),
        size in 1_usize..50,
    ) {
        let stream = written(messages.into_iter().flatten().collect());
        let chunks = stream.chunks(size).map(Bytes::copy_from_slice).collect();
        prop_assert_eq!(read(chunks), read(vec![stream]));
    }

    /// No bytes make the reader panic or hold more than it may.
    #[test]
    fn junk_is_survived(junk in prop::collection::vec(any::<u8>(), 0..400)) {
        read(junk.chunks(7).map(Bytes::copy_from_slice).collect());
    }
}
