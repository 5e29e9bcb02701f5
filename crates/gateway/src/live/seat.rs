//! One socket's place in live delivery: its queue, and what must not go into it yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use tokio::sync::Notify;
use uuid::Uuid;

use super::announcer::Announcer;
use super::directory::Present;
use super::shard::Attached;
use crate::socket::{Frame, Queue};

/// Pushes that are held back for a request under way; beyond that they are let go.
const HELD: usize = 128;

/// A user's socket, as long as it is connected: entries reach its queue until this is dropped.
pub(crate) struct Seat {
    place: Arc<Place>,
    _present: Present,
    _attached: Attached,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seat").field(&self.place.user).finish()
    }
}

impl Seat {
    pub(super) fn new(place: Arc<Place>, present: Present, attached: Attached) -> Self {
        Self {
            place,
            _present: present,
            _attached: attached,
        }
    }

    /// Whose socket it is.
    pub(crate) fn user(&self) -> &str {
        &self.place.user
    }

    /// What the socket sends from.
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.place.queue
    }

    /// Resolves when what the socket missed is in its queue. Requests wait for it.
    pub(crate) async fn ready(&self) {
        let replayed = self.place.replayed.notified();
        if self.place.lock().moved.is_some() {
            replayed.await;
        }
    }

    /// Holds back the pushes to this socket that could be what a request under way leads to, while the value lives.
    pub(crate) fn expecting(&self) -> Expecting {
        self.place.expect_own()
    }

    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.place.queue.close();
    }
}

/// What the shards know of a socket.
pub(super) struct Place {
    pub(super) user: String,
    pub(super) announcer: Arc<dyn Announcer>,
    pub(super) queue: Arc<Queue>,
    /// Told when nothing is left to replay.
    replayed: Notify,
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// While missed entries are replayed: the threads that went on meanwhile, from where and up to where.
    moved: Option<HashMap<i64, Span>>,
    /// Up to where threads were replayed, until live entries are past it: a replay may have read what a hint tells later.
    replayed: HashMap<i64, i64>,
    /// Requests under way that may lead to an entry of this user.
    expecting: bool,
    held: VecDeque<Held>,
}

/// Entries of a thread that a replay has to include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
}

#[derive(Debug)]
struct Held {
    thread: i64,
    seq: i64,
    frame: ByteString,
}

impl Place {
    pub(super) fn new(user: Uuid, announcer: Arc<dyn Announcer>, replays: bool) -> Self {
        Self {
            user: user.to_string(),
            announcer,
            queue: Arc::default(),
            replayed: Notify::new(),
            turn: Mutex::new(Turn {
                moved: replays.then(HashMap::new),
                ..Turn::default()
            }),
        }
    }

    /// An entry's turn has come. `own`: the socket's user is its author.
    pub(super) fn push(&self, thread: i64, seq: i64, frame: &ByteString, own: bool) {
        let mut turn = self.lock();
        if let Some(moved) = &mut turn.moved {
            let span = moved.entry(thread).or_insert(Span {
                first: seq,
                last: seq,
            });
            span.last = span.last.max(seq);
            return;
        }
        if let Some(last) = turn.replayed.get(&thread) {
            if seq <= *last {
                return;
            }
            turn.replayed.remove(&thread);
        }
        if !(turn.expecting && own) && turn.held.is_empty() {
            self.queue.push(Frame::Text(frame.clone()));
            return;
        }
        turn.held.push_back(Held {
            thread,
            seq,
            frame: frame.clone(),
        });
        if turn.held.len() > HELD {
            self.release(&mut turn);
        }
    }

    /// Holds back the user's own entries until the request under way is answered, as one of them may be its answer.
    pub(super) fn expect_own(self: &Arc<Self>) -> Expecting {
        self.lock().expecting = true;
        Expecting(Arc::clone(self))
    }

    /// Gives the answer to the request under way the place of its entry, and lets everything go that was held back.
    pub(super) fn settle(&self, thread: i64, seq: i64, reply: ByteString) {
        let mut turn = self.lock();
        turn.expecting = false;
        let mut reply = Some(reply);
        for held in std::mem::take(&mut turn.held) {
            if held.thread == thread && held.seq == seq {
                let reply = reply.take().map(Frame::Text);
                self.queue.reply(reply.into_iter().collect());
            } else {
                self.queue.push(Frame::Text(held.frame));
            }
        }
        let reply = reply.map(Frame::Text);
        self.queue.reply(reply.into_iter().collect());
    }

    /// What went on in the threads since this was asked last; `None`: nothing, and from now on entries go out directly
    /// but for those up to `done`, which the socket has had.
    pub(super) fn caught_up(&self, done: &HashMap<i64, i64>) -> Option<HashMap<i64, Span>> {
        let mut turn = self.lock();
        let moved = turn.moved.as_mut()?;
        if !moved.is_empty() {
            return Some(std::mem::take(moved));
        }
        turn.moved = None;
        turn.replayed.clone_from(done);
        drop(turn);
        self.replayed.notify_waiters();
        None
    }

    fn release(&self, turn: &mut Turn) {
        for held in std::mem::take(&mut turn.held) {
            self.queue.push(Frame::Text(held.frame));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, a request is under way.
pub(crate) struct Expecting(Arc<Place>);

impl Drop for Expecting {
    fn drop(&mut self) {
        let mut turn = self.0.lock();
        turn.expecting = false;
        self.0.release(&mut turn);
    }
}
