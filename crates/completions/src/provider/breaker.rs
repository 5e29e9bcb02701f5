//! A circuit breaker: a provider that keeps failing is left alone for a while, so that calls go on to what answers
//! instead of waiting for it, and it is not met by all of them when it comes back.
//!
//! Closed until so many failures in a row; then open for a while; then half open: one trial decides. The crates for this
//! keep time by themselves, which tests could not turn, or let every call through when half open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Whether a provider may be asked. Clones are the same breaker.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    state: Arc<Mutex<State>>,
    failures: u32,
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { trying: bool },
}

/// Leave to make one attempt. Dropped undecided (the caller went away), it counts as if there had been none.
#[derive(Debug)]
pub(super) struct Trial {
    breaker: Breaker,
    decides: bool,
}

impl Breaker {
    /// Opens after so many failures in a row, for so long.
    pub(super) fn new(failures: u32, pause: Duration) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::Closed { failures: 0 })),
            failures,
            pause,
        }
    }

    /// `None`: the provider is to be left alone.
    pub(super) fn enter(&self) -> Option<Trial> {
        let mut state = self.lock();
        let decides = match *state {
            State::Closed { .. } => false,
            State::Open { until } if Instant::now() < until => return None,
            State::HalfOpen { trying: true } => return None,
            State::Open { .. } | State::HalfOpen { trying: false } => {
                *state = State::HalfOpen { trying: true };
                true
            }
        };
        Some(Trial {
            breaker: self.clone(),
            decides,
        })
    }

    pub(super) fn state(&self) -> State {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial {
    /// The provider is well.
    pub(super) fn succeed(mut self) {
        let mut state = self.breaker.lock();
        // An attempt from before it opened says nothing about now.
        if self.decides || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
        }
        drop(state);
        self.decides = false;
    }

    /// The provider is sick.
    pub(super) fn fail(mut self) {
        let mut state = self.breaker.lock();
        let open = State::Open {
            until: Instant::now() + self.breaker.pause,
        };
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.breaker.failures => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } => open,
            _ if self.decides => open,
            unchanged => unchanged,
        };
        drop(state);
        self.decides = false;
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.decides {
            *self.breaker.lock() = State::HalfOpen { trying: false };
        }
    }
}
