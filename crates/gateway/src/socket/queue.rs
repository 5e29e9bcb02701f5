//! What waits to leave one socket: replies and pushed events in one order, bounded, filled from any thread. What need not
//! wait goes to the socket's [`Line`].

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use super::Ending;
use super::dialect::{Frame, Frames};
use super::line::{Half, Line};

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
    line: Option<Line>,
    /// The task of the socket is writing: nobody else does.
    seized: bool,
    closing: bool,
}

impl Waiting {
    /// Lets a frame leave at once, if nothing is before it.
    fn write(&mut self, frame: &Frame) -> bool {
        let free = !self.seized && self.frames.is_empty();
        let Some(line) = self.line.as_mut().filter(|_| free) else {
            return false;
        };
        let written = line.write(frame);
        self.seized = line.is_within_frame();
        written
    }
}

#[derive(Debug)]
struct Queued {
    frame: Frame,
    reply: bool,
}

impl Queue {
    /// Adds an event. Says whether it was taken; `false` also closes the socket.
    pub(crate) fn push(&self, frame: Frame) -> bool {
        let mut waiting = self.lock();
        if waiting.overflown {
            return false;
        }
        if waiting.write(&frame) {
            if waiting.seized {
                wake(waiting);
            }
            return true;
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
        for frame in frames {
            if !waiting.write(&frame) {
                waiting.replies += 1;
                waiting.frames.push_back(Queued { frame, reply: true });
            }
        }
        if waiting.seized || !waiting.frames.is_empty() {
            wake(waiting);
        }
    }

    /// From now on frames may be written to the connection by whoever has them.
    pub(super) fn connect(&self, half: Half) {
        self.lock().line = Some(Line::new(half));
    }

    /// The task of the socket has nothing more on its way to the connection.
    pub(super) fn release(&self) {
        let mut waiting = self.lock();
        let within_frame = waiting.line.as_ref().is_some_and(Line::is_within_frame);
        waiting.seized = waiting.closing || within_frame;
    }

    /// From now on only the task of the socket writes, as it is about to close the connection. Resolves when the frame that
    /// has left in part, if there is one, has left to its end.
    pub(super) async fn close_line(&self) -> io::Result<()> {
        std::future::poll_fn(|context| {
            let mut waiting = self.lock();
            (waiting.seized, waiting.closing) = (true, true);
            if let Some(line) = &mut waiting.line {
                ready!(line.poll_rest(context))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// The connection is closed when its other half is gone, too.
    pub(super) fn disconnect(&self) {
        self.lock().line = None;
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
        let waiting = self.lock();
        waiting.frames.is_empty() && !waiting.line.as_ref().is_some_and(Line::is_within_frame)
    }

    /// Ready when it is the turn of the socket's task, which asks, to write to the connection: there is something in the
    /// queue, or the task has something of its own. Until [`Self::release`] nobody else writes. Fails when the peer was too
    /// slow or has gone.
    pub(crate) fn poll_turn(
        &self,
        context: &mut Context<'_>,
        has_own: bool,
    ) -> Poll<Result<(), Ending>> {
        let mut waiting = self.lock();
        // Kept also while there is something: a wire that takes nothing must not hide the overflow.
        waiting.socket = Some(context.waker().clone());
        if waiting.overflown {
            return Poll::Ready(Err(Ending::TooSlow));
        }
        if let Some(line) = &mut waiting.line
            && ready!(line.poll_rest(context)).is_err()
        {
            return Poll::Ready(Err(Ending::Lost));
        }
        if waiting.frames.is_empty() && !has_own {
            return Poll::Pending;
        }
        waiting.seized = true;
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
