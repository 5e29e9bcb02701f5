//! What happens to the bytes that go one way.

use std::time::Duration;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From whoever connects to what they connect to: requests.
    There,
    /// Replies.
    Back,
}

impl Way {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::There, Self::Back];
}

/// What is done to bytes that go one way; the default lets them pass as they come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wire {
    /// How long each takes at least.
    pub latency: Duration,
    /// How much longer or shorter than that it takes at most, at random. The order stays.
    pub jitter: Duration,
    /// How many pass in a second on one connection.
    pub bytes_per_second: Option<u32>,
    /// How many are written at a time.
    pub piece: Option<usize>,
    /// How many pass on one connection from now on before it is closed.
    pub cut_after: Option<usize>,
    /// Whether they pass at all.
    pub flow: Flow,
}

/// Whether bytes pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    #[default]
    Passes,
    /// They wait until they do.
    Held,
    /// They are lost, and nobody is told. A connection that lost some is reset once its bytes would pass again.
    Swallowed,
}

impl Wire {
    /// One that takes its time.
    #[must_use]
    pub fn slow(latency: Duration) -> Self {
        Self {
            latency,
            ..Self::default()
        }
    }

    /// One that takes bytes and holds them.
    #[must_use]
    pub fn held() -> Self {
        Self {
            flow: Flow::Held,
            ..Self::default()
        }
    }

    /// A black hole.
    #[must_use]
    pub fn swallowed() -> Self {
        Self {
            flow: Flow::Swallowed,
            ..Self::default()
        }
    }

    /// How long something that is sent now takes.
    pub(super) fn delay(&self) -> Duration {
        let least = self.latency.saturating_sub(self.jitter);
        let range = self.latency.min(self.jitter) + self.jitter;
        least + range.mul_f64(fastrand::f64())
    }

    /// How many of `len` bytes are written at once.
    pub(super) fn share(&self, len: usize) -> usize {
        // Twenty times a second looks steady.
        let steady = self.bytes_per_second.map(|rate| rate.div_ceil(20) as usize);
        let limits = [self.piece, steady, Some(len)];
        limits.into_iter().flatten().min().unwrap_or(len).max(1)
    }

    /// How long `len` bytes take up the wire.
    pub(super) fn takes(&self, len: usize) -> Duration {
        let each = |rate: u32| Duration::from_secs(len as u64) / rate.max(1);
        self.bytes_per_second.map_or(Duration::ZERO, each)
    }
}
