//! The loop against a scripted peer, on a clock that stands still until nothing else can happen.

use std::cell::RefCell;
use std::time::Duration;

use actix_ws::{CloseCode, Closed, Message};
use futures_util::{Sink, SinkExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, PollSender};

use super::{
    Dialect, Ending, Frame, Frames, Incoming, Queue, Rhythm, Summary, Unreadable, Violation, run,
};

const PING: Duration = Duration::from_secs(25);
const SLOW: Duration = Duration::from_secs(10);

/// Repeats what it hears: `slow…` after a while, `never…` not at all.
#[derive(Default)]
struct Echo {
    finished: RefCell<Vec<String>>,
}

impl Dialect for Echo {
    const NAME: &'static str = "echo";

    async fn on_frame(&self, frame: Frame) -> Frames {
        let text = String::from_utf8(frame.bytes().to_vec()).unwrap();
        if text.starts_with("slow") {
            sleep(SLOW).await;
        }
        if text.starts_with("never") {
            std::future::pending::<()>().await;
        }
        self.finished.borrow_mut().push(text.clone());
        vec![frame.with(text)]
    }

    fn on_unreadable(&self, why: Unreadable) -> Frames {
        vec![Frame::Text(format!("{why:?}").into())]
    }
}

/// Says nothing.
pub(super) struct Mute;

impl Dialect for Mute {
    const NAME: &'static str = "mute";

    async fn on_frame(&self, _: Frame) -> Frames {
        Frames::new()
    }

    fn on_unreadable(&self, _: Unreadable) -> Frames {
        Frames::new()
    }
}

/// The other side of a socket.
struct Peer {
    says: mpsc::Sender<Result<Incoming, Violation>>,
    hears: mpsc::Receiver<Message>,
    stopping: CancellationToken,
}

impl Peer {
    async fn say(&self, text: &str) {
        let message = Incoming::Message(Ok(Frame::Text(text.to_owned().into())));
        self.says.send(Ok(message)).await.unwrap();
    }

    async fn say_incoming(&self, incoming: Incoming) {
        self.says.send(Ok(incoming)).await.unwrap();
    }

    /// The next message, whenever it comes.
    async fn hear(&mut self) -> Message {
        self.hears.recv().await.unwrap()
    }

    /// The next message that is no ping.
    async fn hear_reply(&mut self) -> Message {
        loop {
            match self.hear().await {
                Message::Ping(_) => {}
                other => return other,
            }
        }
    }

    async fn assert_silence(&mut self, time: Duration) {
        let heard = timeout(time, self.hears.recv()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned().into())
}

fn close(code: CloseCode, heard: &Message) -> bool {
    matches!(heard, Message::Close(Some(reason)) if reason.code == code)
}

fn wire(sender: mpsc::Sender<Message>) -> impl Sink<Message, Error = Closed> + Unpin {
    PollSender::new(sender).sink_map_err(|_| Closed)
}

/// Runs a socket whose wire takes `capacity` messages, against a script.
async fn play(
    echo: &Echo,
    capacity: usize,
    pending: usize,
    script: impl AsyncFnOnce(Peer),
) -> Summary {
    let (says, incoming) = mpsc::channel(100);
    let (sender, hears) = mpsc::channel(capacity);
    let stopping = CancellationToken::new();
    let peer = Peer {
        says,
        hears,
        stopping: stopping.clone(),
    };
    let rhythm = Rhythm {
        ping: PING,
        pending,
    };
    let queue = Queue::default();
    let socket = run(
        echo,
        &queue,
        wire(sender),
        ReceiverStream::new(incoming),
        rhythm,
        &stopping,
    );
    let (summary, ()) = tokio::join!(socket, script(peer));
    summary
}

#[tokio::test(start_paused = true)]
async fn replies_leave_in_order_and_pings_do_not_wait_for_them() {
    let summary = play(&Echo::default(), 32, 8, async |mut peer| {
        peer.say("slow first").await;
        peer.say("second").await;
        peer.say_incoming(Incoming::Message(Err(Unreadable::TooLarge)))
            .await;
        peer.say("third").await;
        peer.say_incoming(Incoming::Ping("?".into())).await;
        let asked = Instant::now();
        assert_eq!(peer.hear().await, Message::Pong("?".into()));
        assert_eq!(asked.elapsed(), Duration::ZERO);
        assert_eq!(peer.hear().await, text("slow first"));
        assert_eq!(asked.elapsed(), SLOW);
        assert_eq!(peer.hear().await, text("second"));
        assert_eq!(peer.hear().await, text("TooLarge"));
        assert_eq!(peer.hear().await, text("third"));
    })
    .await;
    assert_eq!(
        summary,
        Summary {
            ending: Ending::Lost,
            messages: 4
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_stops_reading_but_not_pinging() {
    let summary = play(&Echo::default(), 32, 2, async |mut peer| {
        for number in 0..6 {
            peer.say(&format!("never {number}")).await;
        }
        // One under way, two that wait; the others stay where they are. The silence is not the peer's.
        for _ in 0..10 {
            assert_eq!(peer.hear().await, Message::Ping("".into()));
        }
        assert_eq!(peer.says.capacity(), 100 - 3);
        peer.stopping.cancel();
        assert!(close(CloseCode::Restart, &peer.hear().await));
    })
    .await;
    assert_eq!(summary.messages, 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_while_nothing_is_read_is_silent() {
    let (says, incoming) = mpsc::channel(100);
    // A wire that takes one message and no more.
    let (sender, _hears) = mpsc::channel(1);
    for _ in 0..4 {
        let message = Incoming::Message(Ok(Frame::Text("hello".into())));
        says.send(Ok(message)).await.unwrap();
    }
    let rhythm = Rhythm {
        ping: PING,
        pending: 1,
    };
    let begun = Instant::now();
    let stopping = CancellationToken::new();
    let incoming = ReceiverStream::new(incoming);
    let echo = Echo::default();
    let summary = run(
        &echo,
        &Queue::default(),
        wire(sender),
        incoming,
        rhythm,
        &stopping,
    )
    .await;
    assert_eq!(summary.ending, Ending::Silent);
    assert!(begun.elapsed() <= 4 * PING);
}

#[tokio::test(start_paused = true)]
async fn silence_for_two_pings_ends_a_socket_and_any_sign_saves_it() {
    let summary = play(&Echo::default(), 32, 8, async |mut peer| {
        let begun = Instant::now();
        for _ in 0..5 {
            assert_eq!(peer.hear().await, Message::Ping("".into()));
            peer.say_incoming(Incoming::Pong).await;
        }
        assert_eq!(begun.elapsed(), 5 * PING);
        assert_eq!(peer.hear().await, Message::Ping("".into()));
        assert_eq!(peer.hear().await, Message::Ping("".into()));
        assert!(close(CloseCode::Policy, &peer.hear().await));
        assert_eq!(begun.elapsed(), 8 * PING);
    })
    .await;
    assert_eq!(summary.ending, Ending::Silent);
}

#[tokio::test(start_paused = true)]
async fn of_many_pings_that_wait_the_last_is_answered() {
    play(&Echo::default(), 1, 8, async |mut peer| {
        peer.say("fills the wire").await;
        peer.say("waits").await;
        for number in 0..50 {
            peer.say_incoming(Incoming::Ping(format!("{number}").into()))
                .await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(peer.hear().await, text("fills the wire"));
        assert_eq!(peer.hear().await, Message::Pong("49".into()));
        assert_eq!(peer.hear().await, text("waits"));
        peer.assert_silence(Duration::from_secs(1)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stopping_answers_what_is_under_way_and_says_so() {
    let echo = Echo::default();
    let summary = play(&echo, 32, 8, async |mut peer| {
        peer.say("slow one").await;
        peer.say("not begun").await;
        sleep(Duration::from_secs(9)).await;
        peer.stopping.cancel();
        assert_eq!(peer.hear_reply().await, text("slow one"));
        assert!(close(CloseCode::Restart, &peer.hear_reply().await));
    })
    .await;
    assert_eq!(summary.ending, Ending::Stopping);
    assert_eq!(*echo.finished.borrow(), ["slow one"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    play(&Echo::default(), 32, 8, async |mut peer| {
        peer.say("never").await;
        sleep(Duration::from_secs(1)).await;
        peer.stopping.cancel();
        let asked = Instant::now();
        assert!(close(CloseCode::Restart, &peer.hear_reply().await));
        assert_eq!(asked.elapsed(), super::GRACE);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_is_finished_although_the_peer_has_gone() {
    let echo = Echo::default();
    let summary = play(&echo, 32, 8, async |peer| {
        peer.say("slow one").await;
        peer.say("not begun").await;
        sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert_eq!(summary.ending, Ending::Lost);
    assert_eq!(*echo.finished.borrow(), ["slow one"]);
}

#[tokio::test(start_paused = true)]
async fn a_close_is_answered_with_its_code() {
    let summary = play(&Echo::default(), 32, 8, async |mut peer| {
        let reason = Some(CloseCode::Away.into());
        peer.say_incoming(Incoming::Close(reason.clone())).await;
        assert_eq!(peer.hear().await, Message::Close(reason));
    })
    .await;
    assert_eq!(summary.ending, Ending::Closed(Some(CloseCode::Away.into())));
}

#[tokio::test(start_paused = true)]
async fn a_violation_is_answered_with_its_code() {
    let summary = play(&Echo::default(), 32, 8, async |mut peer| {
        peer.says.send(Err(Violation)).await.unwrap();
        assert!(close(CloseCode::Protocol, &peer.hear().await));
    })
    .await;
    assert_eq!(summary.ending, Ending::Violation);
}

#[tokio::test(start_paused = true)]
async fn the_reply_has_the_opcode_of_the_request() {
    play(&Echo::default(), 32, 8, async |mut peer| {
        let request = Frame::Binary("bytes".into());
        peer.say_incoming(Incoming::Message(Ok(request))).await;
        assert_eq!(peer.hear().await, Message::Binary("bytes".into()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_pushes_leaves_in_order_and_a_full_queue_closes_the_socket() {
    let (_says, incoming) = mpsc::channel(100);
    let (sender, mut hears) = mpsc::channel(32);
    let rhythm = Rhythm {
        ping: PING,
        pending: 1,
    };
    let stopping = CancellationToken::new();
    let (echo, queue) = (Echo::default(), Queue::default());
    let incoming = ReceiverStream::new(incoming);
    let socket = run(&echo, &queue, wire(sender), incoming, rhythm, &stopping);
    let script = async {
        for number in 0..100 {
            assert!(queue.push(Frame::Text(format!("{number}").into())));
        }
        for number in 0..100 {
            assert_eq!(hears.recv().await, Some(text(&format!("{number}"))));
        }
        // From now on the peer takes nothing.
        let begun = Instant::now();
        while queue.push(Frame::Text("more".into())) {
            tokio::task::yield_now().await;
        }
        assert!(!queue.push(Frame::Text("too late".into())));
        sleep(Duration::from_secs(1)).await;
        let mut last = None;
        while let Some(message) = hears.recv().await {
            last = Some(message);
        }
        assert!(close(CloseCode::Other(4008), &last.unwrap()));
        assert!(begun.elapsed() < Duration::from_secs(5));
    };
    let (summary, ()) = tokio::join!(socket, script);
    assert_eq!(summary.ending, Ending::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_again_is_let_go() {
    let (_says, incoming) = mpsc::channel(100);
    let (sender, _hears) = mpsc::channel(1);
    let rhythm = Rhythm {
        ping: PING,
        pending: 1,
    };
    let stopping = CancellationToken::new();
    let (echo, queue) = (Echo::default(), Queue::default());
    let big = "x".repeat(64 * 1024);
    while queue.push(Frame::Text(big.clone().into())) {}
    let incoming = ReceiverStream::new(incoming);
    let summary = run(&echo, &queue, wire(sender), incoming, rhythm, &stopping).await;
    assert_eq!(summary.ending, Ending::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn a_replay_waits_for_room() {
    let queue = Queue::default();
    for _ in 0..200 {
        assert!(queue.push(Frame::Text("x".into())));
    }
    let reader = async {
        sleep(SLOW).await;
        for _ in 0..100 {
            queue.pop();
        }
    };
    let begun = Instant::now();
    tokio::join!(queue.has_room(), reader);
    assert_eq!(begun.elapsed(), SLOW);
    for _ in 0..150 {
        queue.push(Frame::Text("x".into()));
    }
    let ended = async { queue.close() };
    tokio::join!(queue.has_room(), ended);
    assert!(!queue.push(Frame::Text("x".into())));
}
