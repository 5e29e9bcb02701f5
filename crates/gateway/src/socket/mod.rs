//! One socket: a loop that hands messages to a dialect and its answers to the wire.
//!
//! The loop waits for whatever comes first and never for a service: pings and pongs go on while an answer takes its
//! time. Messages are handled strictly one after another, so a reply always reflects what came before it. It knows no
//! wire language; the dialect knows no socket.

mod dialect;
mod frames;
mod handover;
mod line;
mod outbox;
mod queue;
mod stay;
#[cfg(test)]
mod tests;
mod upgrade;
mod wire;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use actix_ws::{CloseCode, CloseReason, Closed, Message};
use futures_util::future::{Fuse, FusedFuture};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use dialect::{Dialect, Frame, Frames, Unreadable};
pub(crate) use frames::{Incoming, Limits, Messages, Violation};
pub(crate) use handover::upgrades;
use outbox::Outbox;
pub(crate) use queue::Queue;
pub(crate) use upgrade::{Guest, upgrade, upgrade_live};

/// How long a request under way may still take once the process is stopping. A model's answer goes on without the
/// socket and is in the history afterwards.
const GRACE: Duration = Duration::from_secs(4);

/// How long a peer has to take the last frames.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a peer that was too slow has to make room for the frame that says so. Nothing else is kept for it meanwhile.
const SLOW_FAREWELL: Duration = Duration::from_secs(30);

/// Close code of a peer that took too little for too long. It may come back and name its position.
const SLOW_CONSUMER: u16 = 4008;

/// Close code of a socket whose credential is good no longer: sign in or refresh, and come back.
const EXPIRED: u16 = 4001;

/// Close code of a socket whose session was ended: sign in again.
const REVOKED: u16 = 4003;

/// With which codes sockets are closed, for who writes a front end.
pub(crate) const CLOSE_CODES: [(u16, &str); 6] = [
    (1002, "the front end does not speak WebSocket"),
    (1008, "no answer to pings"),
    (1012, "the server is restarting: come back"),
    (
        EXPIRED,
        "the credential has expired: get another and come back",
    ),
    (REVOKED, "the session was ended: sign in again"),
    (
        SLOW_CONSUMER,
        "too little was read for too long: come back with the position",
    ),
];

/// Messages that are given to the wire before anything else is looked at.
const BURST: usize = 64;

/// A socket on which nothing was heard for this many pings is dead.
const SILENT_PINGS: u32 = 2;

/// How a socket is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rhythm {
    /// Time between pings.
    pub(crate) ping: Duration,
    /// Messages that wait for their turn; beyond that nothing is read.
    pub(crate) pending: usize,
}

/// Why a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The peer closed it in order.
    Closed(Option<CloseReason>),
    /// The connection broke.
    Lost,
    /// Nothing was heard from the peer any more, or it took nothing.
    Silent,
    /// More was pushed than the peer took, beyond what may wait.
    TooSlow,
    /// The peer does not speak WebSocket.
    Violation,
    /// The session that it was opened in was ended.
    Revoked,
    /// The credential that it was opened with is good no longer.
    Expired,
    /// The process is stopping.
    Stopping,
}

/// What a socket was, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) ending: Ending,
    /// Messages that came.
    pub(crate) messages: u64,
}

/// Serves one socket until it ends. A request that was begun is finished also when the peer has gone: what it does to
/// several services is not cut in the middle. Answers leave through `queue`, as does what others put into it.
pub(crate) async fn run<D, W, I>(
    dialect: &D,
    queue: &Queue,
    mut wire: W,
    mut incoming: I,
    rhythm: Rhythm,
    stopping: &CancellationToken,
) -> Summary
where
    D: Dialect,
    W: Sink<Message, Error = Closed> + Unpin,
    I: Stream<Item = Result<Incoming, Violation>> + Unpin,
{
    let mut outbox = Outbox::default();
    let mut waiting: VecDeque<Result<Frame, Unreadable>> = VecDeque::new();
    let mut pulse = Pulse::default();
    let mut messages = 0;
    let mut pings = interval_at(Instant::now() + rhythm.ping, rhythm.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // In a box of its own: a socket that asks nothing has no room for it.
    let mut answer = Fuse::terminated();
    let mut dismissed = pin!(dialect.dismissed());
    let mut stop = pin!(stopping.cancelled());

    let ending = loop {
        // The next request starts when the last reply is on its way.
        if answer.is_terminated() && !queue.has_replies() {
            match waiting.pop_front() {
                Some(Ok(frame)) => answer = dialect.on_frame(frame).boxed_local().fuse(),
                Some(Err(why)) => queue.reply(dialect.on_unreadable(why)),
                None => {}
            }
        }
        let reading = waiting.len() < rhythm.pending;
        tokio::select! {
            biased;
            () = &mut stop => break Ending::Stopping,
            ending = &mut dismissed => break ending,
            sent = send(&mut wire, &mut outbox, queue) => match sent {
                Ok(()) => pulse.sent = true,
                Err(ending) => break ending,
            },
            frames = &mut answer, if !answer.is_terminated() => queue.reply(frames),
            _ = pings.tick() => {
                let idle = outbox.is_empty() && queue.is_empty();
                if pulse.missed(reading, idle) >= SILENT_PINGS {
                    break Ending::Silent;
                }
                outbox.ping();
            }
            heard = incoming.next(), if reading => {
                pulse.heard = true;
                match heard {
                    Some(Ok(Incoming::Message(message))) => {
                        messages += 1;
                        waiting.push_back(message);
                    }
                    Some(Ok(Incoming::Ping(content))) => outbox.pong(content),
                    Some(Ok(Incoming::Pong)) => {}
                    Some(Ok(Incoming::Close(reason))) => break Ending::Closed(reason),
                    Some(Err(Violation)) => break Ending::Violation,
                    None => break Ending::Lost,
                }
            }
        }
    };

    let patience = async {
        stopping.cancelled().await;
        sleep(GRACE).await;
    };
    // In a box as well: a socket that stays has no room for its end.
    let end = Box::pin(async {
        if ending == Ending::Stopping {
            queue.reply(finish(&mut answer, patience).await);
            farewell(wire, outbox, queue, &ending).await;
        } else {
            farewell(wire, outbox, queue, &ending).await;
            finish(&mut answer, patience).await;
        }
    });
    end.await;
    Summary { ending, messages }
}

/// What the peer's signs of life say.
#[derive(Debug)]
struct Pulse {
    heard: bool,
    sent: bool,
    missed: u32,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            heard: true,
            sent: true,
            missed: 0,
        }
    }
}

impl Pulse {
    /// How many pings in a row have gone by without a sign. While nothing is read, no sign can be heard; then a peer
    /// that takes nothing counts as silent.
    fn missed(&mut self, reading: bool, idle: bool) -> u32 {
        let heard = std::mem::take(&mut self.heard);
        let sent = std::mem::take(&mut self.sent);
        let alive = if reading { heard } else { sent || idle };
        self.missed = if alive { 0 } else { self.missed + 1 };
        self.missed
    }
}

/// Gives the wire what waits, as much as it takes at once, so that a burst leaves in one write. Pending while there is
/// nothing or the wire takes nothing; cancelled then, nothing is lost.
async fn send<W>(wire: &mut W, outbox: &mut Outbox, queue: &Queue) -> Result<(), Ending>
where
    W: Sink<Message, Error = Closed> + Unpin,
{
    poll_fn(|context| {
        let mut sent = 0;
        let turn = queue.poll_turn(context, !outbox.is_empty())?;
        while turn.is_ready() && sent < BURST && !(outbox.is_empty() && queue.is_empty()) {
            match wire.poll_ready_unpin(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Closed)) => return Poll::Ready(Err(Ending::Lost)),
                Poll::Pending => break,
            }
            let Some(message) = outbox.pop().or_else(|| queue.pop().map(Message::from)) else {
                break;
            };
            if let Err(Closed) = wire.start_send_unpin(message) {
                return Poll::Ready(Err(Ending::Lost));
            }
            sent += 1;
        }
        match wire.poll_flush_unpin(context) {
            Poll::Ready(Ok(())) => queue.release(),
            Poll::Ready(Err(Closed)) => return Poll::Ready(Err(Ending::Lost)),
            Poll::Pending => {}
        }
        if sent > 0 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Waits for the request under way, if there is one, but not beyond `patience`.
async fn finish(
    answer: impl FusedFuture<Output = Frames> + Unpin,
    patience: impl Future<Output = ()>,
) -> Frames {
    if answer.is_terminated() {
        return Frames::new();
    }
    tokio::select! {
        biased;
        frames = answer => frames,
        () = patience => Frames::new(),
    }
}

/// Sends what is left and says why the socket ends. A peer that does not take it in time does not get it.
async fn farewell<W>(mut wire: W, mut outbox: Outbox, queue: &Queue, ending: &Ending)
where
    W: Sink<Message, Error = Closed> + Unpin,
{
    let reason = match ending {
        Ending::Closed(reason) => reason.clone(),
        Ending::Stopping => Some((CloseCode::Restart, "the server is restarting").into()),
        Ending::Silent => Some((CloseCode::Policy, "no answer to pings").into()),
        Ending::Violation => Some(CloseCode::Protocol.into()),
        Ending::TooSlow => Some((CloseCode::Other(SLOW_CONSUMER), "slow_consumer").into()),
        Ending::Revoked => Some((CloseCode::Other(REVOKED), "signed out").into()),
        Ending::Expired => Some((CloseCode::Other(EXPIRED), "token expired").into()),
        Ending::Lost => return queue.disconnect(),
    };
    let goodbye = async {
        queue.close_line().await.map_err(|_| Closed)?;
        if *ending == Ending::Stopping {
            while !(outbox.is_empty() && queue.is_empty()) {
                send(&mut wire, &mut outbox, queue)
                    .await
                    .map_err(|_| Closed)?;
            }
        }
        wire.send(Message::Close(reason)).await?;
        wire.close().await
    };
    // Closed or late: the connection ends either way.
    let patience = if *ending == Ending::TooSlow {
        SLOW_FAREWELL
    } else {
        FAREWELL
    };
    let _ = timeout(patience, goodbye).await;
    queue.disconnect();
}
