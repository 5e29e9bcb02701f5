//! Who says when walkers talk, when they fall silent and what they must have heard before they may go home.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::people::Positions;

/// Leads any number of walkers. Clones lead the same ones.
#[derive(Debug, Clone, Default)]
pub struct Conductor(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: watch::Sender<Phase>,
    tally: watch::Sender<Tally>,
}

/// What walkers are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Phase {
    /// Nobody begins to say anything new.
    pub(super) silent: bool,
    /// Everybody comes back once more and listens until here. Counted, so that it can be told again.
    pub(super) round: usize,
    pub(super) goal: Positions,
    /// Everybody goes home.
    pub(super) over: bool,
}

/// How far walkers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub walkers: usize,
    /// How many have a socket.
    pub connected: usize,
    /// How many sends were acknowledged, repeated ones once.
    pub acknowledged: usize,
    /// How many walkers have something to say, or wait for an answer.
    pub busy: usize,
    /// How many have heard everything that this round is about.
    pub caught_up: usize,
}

impl Conductor {
    /// Who leads nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How far they are now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.0.tally.borrow()
    }

    /// Waits until they are so far.
    pub async fn until(&self, reached: impl FnMut(&Tally) -> bool) {
        let mut tally = self.0.tally.subscribe();
        // The sender is in `self`.
        let _ = tally.wait_for(reached).await;
    }

    /// Waits until so many sends were acknowledged.
    pub async fn acknowledged(&self, count: usize) {
        self.until(|tally| tally.acknowledged >= count).await;
    }

    /// Lets nobody say anything until [`Conductor::speak`].
    pub fn silence(&self) {
        self.0.phase.send_modify(|phase| phase.silent = true);
    }

    /// Lets everybody talk.
    pub fn speak(&self) {
        self.0.phase.send_modify(|phase| phase.silent = false);
    }

    /// Lets nobody begin anything new, and waits until everything that was said is answered; says whether it was in time.
    pub async fn hush(&self, longest: Duration) -> bool {
        self.silence();
        let answered = self.until(|tally| tally.busy == 0);
        timeout(longest, answered).await.is_ok()
    }

    /// Lets everybody come back at another socket and listen until `goal`; says whether all did in time.
    pub async fn catch_up(&self, goal: Positions, longest: Duration) -> bool {
        self.0.tally.send_modify(|tally| tally.caught_up = 0);
        self.0.phase.send_modify(|phase| {
            phase.round += 1;
            phase.goal = goal;
        });
        let heard = self.until(|tally| tally.caught_up == tally.walkers);
        timeout(longest, heard).await.is_ok()
    }

    /// Lets everybody go home.
    pub fn end(&self) {
        self.0.phase.send_modify(|phase| phase.over = true);
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Tally)) {
        self.0.tally.send_modify(change);
    }
}
