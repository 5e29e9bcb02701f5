//! What waits to leave one socket: replies and pushed events in one order, bounded, filled from any thread.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::dialect::{Frame, Frames};

/// Pushed frames that may wait.
const FRAMES: usize = 256;

/// Bytes of pushed frames that may wait.
const BYTES: usize = 1024 * 1024;

/// One socket's queue. Replies always find room, as a socket is given one at a time; a pushed frame that finds none
/// marks the peer as too slow, and from then on nothing is taken any more.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Queued>,
    /// Bytes of the pushed frames, and how many there are.
    bytes: usize,
    pushed: usize,
    replies: usize,
    overflown: bool,
    socket: Option<Waker>,
    filler: Option<Waker>,
}

#[derive(Debug)]
struct Queued {
    frame: Frame,
    reply: bool,
}

/// The peer took too little for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSlow;

impl Queue {
    /// Adds an event. Says whether it was taken; `false` also closes the socket.
    pub(crate) fn push(&self, frame: Frame) -> bool {
        let mut waiting = self.lock();
        if waiting.overflown {
            return false;
        }
        waiting.bytes += frame.bytes().len();
        waiting.pushed += 1;
        waiting.overflown = waiting.pushed > FRAMES || waiting.bytes > BYTES;
        if waiting.overflown {
            // Nobody reads them any more.
            waiting.frames = VecDeque::new();
            waiting.replies = 0;
        } else {
            waiting.frames.push_back(Queued {
                frame,
                reply: false,
            });
        }
        let taken = !waiting.overflown;
        wake(waiting);
        taken
    }

    /// Adds an answer of the dialect.
    pub(crate) fn reply(&self, frames: Frames) {
        let mut waiting = self.lock();
        if waiting.overflown || frames.is_empty() {
            return;
        }
        waiting.replies += frames.len();
        let frames = frames.into_iter();
        waiting
            .frames
            .extend(frames.map(|frame| Queued { frame, reply: true }));
        wake(waiting);
    }

    /// Resolves when half of the queue is free, so that a long replay waits for its reader instead of overflowing.
    pub(crate) async fn has_room(&self) {
        std::future::poll_fn(|context| {
            let mut waiting = self.lock();
            if waiting.overflown || (waiting.pushed < FRAMES / 2 && waiting.bytes < BYTES / 2) {
                return Poll::Ready(());
            }
            waiting.filler = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Nobody sends from it any more; nobody waits for room in it either.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.overflown = true;
        waiting.frames = VecDeque::new();
        wake(waiting);
    }

    /// Whether an answer waits.
    pub(super) fn has_replies(&self) -> bool {
        self.lock().replies > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().frames.is_empty()
    }

    /// Ready when there is something to send or the peer was too slow; wakes the one socket that asks.
    pub(crate) fn poll_filled(&self, context: &mut Context<'_>) -> Poll<Result<(), TooSlow>> {
        let mut waiting = self.lock();
        // Kept also while there is something: a wire that takes nothing must not hide the overflow.
        waiting.socket = Some(context.waker().clone());
        if waiting.overflown {
            return Poll::Ready(Err(TooSlow));
        }
        if waiting.frames.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn pop(&self) -> Option<Frame> {
        let mut waiting = self.lock();
        let Queued { frame, reply } = waiting.frames.pop_front()?;
        if reply {
            waiting.replies -= 1;
        } else {
            waiting.pushed -= 1;
            waiting.bytes -= frame.bytes().len();
        }
        if waiting.frames.is_empty() {
            // An idle socket keeps no buffer.
            waiting.frames = VecDeque::new();
        }
        if waiting.pushed < FRAMES / 2
            && waiting.bytes < BYTES / 2
            && let Some(filler) = waiting.filler.take()
        {
            drop(waiting);
            filler.wake();
        }
        Some(frame)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let filler = if waiting.overflown {
        waiting.filler.take()
    } else {
        None
    };
    let wakers = (waiting.socket.take(), filler);
    drop(waiting);
    if let Some(socket) = wakers.0 {
        socket.wake();
    }
    if let Some(filler) = wakers.1 {
        filler.wake();
    }
}
