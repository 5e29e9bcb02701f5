//! How slowly a file may come in.

use std::time::Duration;

use crate::error::Error;

/// What the average is taken over.
const WINDOW: Duration = Duration::from_secs(30);

/// Adds up how long a sender was waited for and what it brought. Time that the bytes take to be stored does not count.
#[derive(Debug)]
pub(crate) struct Pace {
    least_bytes: u64,
    waited: Duration,
    brought: u64,
}

impl Pace {
    /// For a sender that has to bring this much, if anything.
    pub(crate) fn new(bytes_per_second: u32) -> Self {
        Self {
            least_bytes: u64::from(bytes_per_second) * WINDOW.as_secs(),
            waited: Duration::ZERO,
            brought: 0,
        }
    }

    /// How long the sender may be silent now; none: as long as it likes.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (self.least_bytes > 0).then(|| WINDOW.saturating_sub(self.waited))
    }

    /// The sender was waited for and brought `bytes`, or none.
    pub(crate) fn record(&mut self, waited: Duration, bytes: u64) -> Result<(), Error> {
        self.waited += waited;
        self.brought += bytes;
        if self.waited < WINDOW {
            return Ok(());
        }
        if self.brought < self.least_bytes {
            return Err(Error::TooSlow);
        }
        self.waited = Duration::ZERO;
        self.brought = 0;
        Ok(())
    }
}
