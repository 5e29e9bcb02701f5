//! A connection over a pipe.

use actix_ws::Message;
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{Reader, WAITING, Writer};

#[tokio::test]
async fn a_burst_leaves_in_one_piece_and_leaves_no_buffer() {
    let (ours, mut theirs) = duplex(1024);
    let mut writer = Writer::new(ours);
    for text in ["a", "bc"] {
        writer.feed(Message::Text(text.into())).await.unwrap();
    }
    assert!(theirs.read_u8().now_or_never().is_none());
    writer.flush().await.unwrap();
    let mut heard = [0; 16];
    let length = theirs.read(&mut heard).await.unwrap();
    assert_eq!(&heard[..length], b"\x81\x01a\x81\x02bc");
    assert_eq!(writer.waiting.capacity(), 0);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_stops_the_sender() {
    let (ours, mut theirs) = duplex(1024);
    let mut writer = Writer::new(ours);
    let text = "x".repeat(1000);
    let mut sent = 0;
    while writer
        .feed(Message::Text(text.clone().into()))
        .now_or_never()
        .is_some()
    {
        sent += 1;
    }
    assert!(writer.waiting.len() < WAITING + 2 * text.len());
    let everything = async {
        let mut heard = vec![0; sent * (text.len() + 4)];
        theirs.read_exact(&mut heard).await.unwrap();
        heard
    };
    let (flushed, heard) = tokio::join!(writer.flush(), everything);
    flushed.unwrap();
    assert!(
        heard
            .chunks(text.len() + 4)
            .all(|frame| frame[4..] == *text.as_bytes())
    );
}

#[tokio::test]
async fn who_has_gone_is_noticed() {
    let (ours, theirs) = duplex(1024);
    drop(theirs);
    assert!(
        Writer::new(ours)
            .send(Message::Text("a".into()))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_came_with_the_request_is_read_first() {
    let (ours, mut theirs) = duplex(1024);
    let mut reader = Reader::new(ours, Bytes::from("be"));
    theirs.write_all(b"gun").await.unwrap();
    drop(theirs);
    assert_eq!(reader.next().await.unwrap().unwrap(), "be");
    assert_eq!(reader.next().await.unwrap().unwrap(), "gun");
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn draining_takes_what_comes_until_the_end() {
    let (ours, mut theirs) = duplex(4);
    let mut reader = Reader::new(ours, Bytes::new());
    let says = async move {
        theirs
            .write_all(b"more than goes in at once")
            .await
            .unwrap();
    };
    tokio::join!(reader.drain(), says);
    assert!(reader.next().await.is_none());
}
