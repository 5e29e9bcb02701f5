//! Over a real connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_http::ws::{Codec, Frame as Wire};
use actix_ws::Message;
use bytes::BytesMut;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};
use tokio_util::sync::CancellationToken;

use super::super::tests::Mute;
use super::super::wire::Writer;
use super::super::{Ending, Frame, Incoming, Queue, Rhythm, Violation, run};
use super::{Half, Line};

/// A connection whose kernel keeps about so many bytes.
async fn connection(bytes: u32) -> (OwnedWriteHalf, TcpStream) {
    let (ours, theirs) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
    ours.set_send_buffer_size(bytes).unwrap();
    theirs.set_recv_buffer_size(bytes).unwrap();
    ours.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = ours.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let (theirs, ours) = tokio::join!(theirs.connect(address), listener.accept());
    let (_, half) = ours.unwrap().0.into_split();
    half.writable().await.unwrap();
    (half, theirs.unwrap())
}

#[tokio::test]
async fn frames_are_as_the_codec_writes_them() {
    let (half, mut theirs) = connection(1024 * 1024).await;
    let mut line = Line::new(Half::new(half));
    for length in [0, 1, 125, 126, 255, 256, 65_535] {
        let content = "x".repeat(length);
        for frame in [
            Frame::Text(content.clone().into()),
            Frame::Binary(content.into()),
        ] {
            assert!(line.write(&frame));
            assert!(!line.is_within_frame());
            let mut expected = BytesMut::new();
            let message = Message::from(frame);
            Codec::new().encode(message, &mut expected).unwrap();
            let mut heard = vec![0; expected.len()];
            theirs.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, expected);
        }
    }
    assert!(!line.write(&Frame::Text("x".repeat(65_536).into())));
}

/// Frames from another thread, pongs of the socket's task, and a peer that reads in fits and starts: each frame arrives whole
/// and in its turn, also the last one.
#[tokio::test]
async fn whoever_writes_no_frame_is_torn_and_none_overtakes_another() {
    const FRAMES: usize = 20_000;
    let (half, mut theirs) = connection(4 * 1024).await;
    let queue = Arc::new(Queue::default());
    let half = Half::new(half);
    queue.connect(half.clone());
    let writer = Writer::new(half);

    let over = Arc::new(AtomicBool::new(false));
    let pusher = std::thread::spawn({
        let (queue, over) = (Arc::clone(&queue), Arc::clone(&over));
        let runtime = Handle::current();
        move || {
            for number in 0..FRAMES {
                runtime.block_on(queue.has_room());
                let filling = "x".repeat(number * 7919 % 3000);
                assert!(queue.push(Frame::Text(format!("{number} {filling}").into())));
            }
            over.store(true, Ordering::Release);
        }
    });
    let asking = stream::unfold(0_u8, |number| async move {
        tokio::task::yield_now().await;
        let ping: Result<Incoming, Violation> = Ok(Incoming::Ping(vec![number].into()));
        Some((ping, number.wrapping_add(1)))
    });
    let stopping = CancellationToken::new();
    let rhythm = Rhythm {
        ping: Duration::from_secs(25),
        pending: 1,
    };
    let socket = run(&Mute, &queue, writer, Box::pin(asking), rhythm, &stopping);
    let peer = async {
        let mut codec = Codec::new().client_mode().max_size(1024 * 1024);
        let (mut bytes, mut next, mut pongs, mut closed) = (BytesMut::new(), 0, 0, false);
        while theirs.read_buf(&mut bytes).await.unwrap() > 0 {
            while let Some(frame) = codec.decode(&mut bytes).unwrap() {
                match frame {
                    Wire::Text(text) => {
                        let text = str::from_utf8(&text).unwrap();
                        let (number, filling) = text.split_once(' ').unwrap();
                        assert_eq!(number, next.to_string());
                        assert_eq!(filling.len(), next * 7919 % 3000);
                        next += 1;
                    }
                    Wire::Pong(_) => pongs += 1,
                    Wire::Close(_) => closed = true,
                    other => panic!("{other:?}"),
                }
            }
            if next % 1000 == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if next == FRAMES {
                assert!(over.load(Ordering::Acquire));
                stopping.cancel();
            }
        }
        theirs.shutdown().await.unwrap();
        (next, pongs, closed)
    };
    let (summary, (heard, pongs, closed)) = tokio::join!(socket, peer);
    pusher.join().unwrap();
    assert_eq!((summary.ending, heard), (Ending::Stopping, FRAMES));
    assert!(pongs > 0 && closed);
}

async fn connected(bytes: u32) -> (Queue, TcpStream) {
    let (half, theirs) = connection(bytes).await;
    let queue = Queue::default();
    queue.connect(Half::new(half));
    (queue, theirs)
}

/// What has come and not been read.
async fn come(theirs: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while timeout(Duration::from_millis(50), theirs.read_buf(&mut bytes))
        .await
        .is_ok()
    {}
    bytes
}

#[tokio::test]
async fn while_the_task_writes_nobody_else_does() {
    let (queue, mut theirs) = connected(1024).await;
    let frame = |text: &'static str| Frame::Text(text.into());
    assert!(queue.push(frame("a")));
    assert_eq!(queue.pop(), None);
    poll_fn(|context| queue.poll_turn(context, true))
        .await
        .unwrap();
    assert!(queue.push(frame("b")));
    assert_eq!(queue.pop(), Some(frame("b")));
    assert!(queue.push(frame("c")));
    queue.release();
    assert!(queue.push(frame("d")), "behind c");
    assert_eq!(come(&mut theirs).await, b"\x81\x01a");
    assert_eq!(queue.pop(), Some(frame("c")));
    assert_eq!(queue.pop(), Some(frame("d")));
    queue.close_line().await.unwrap();
    queue.release();
    assert!(queue.push(frame("e")), "after the end");
    assert_eq!(queue.pop(), Some(frame("e")));
}

#[tokio::test]
async fn the_rest_of_a_frame_leaves_before_anything_else() {
    let (queue, mut theirs) = connected(4 * 1024).await;
    let long = "x".repeat(60_000);
    assert!(queue.push(Frame::Text(long.clone().into())));
    assert!(!queue.is_empty(), "it has left in part");
    let mut heard = come(&mut theirs).await;
    assert!(heard.len() < long.len());
    let next = Frame::Text("next".into());
    assert!(queue.push(next.clone()));
    assert!(come(&mut theirs).await.is_empty());
    let turn = poll_fn(|context| queue.poll_turn(context, false));
    let rest = async {
        while heard.len() < long.len() + 4 {
            theirs.read_buf(&mut heard).await.unwrap();
        }
    };
    let (turn, ()) = tokio::join!(turn, rest);
    turn.unwrap();
    assert!(heard[4..] == *long.as_bytes());
    assert_eq!(queue.pop(), Some(next));
}
