//! When the next thing is due: at fixed points in time (open loop), or when the last one is done (closed loop).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The points in time at which one sender sends, evenly spread between the senders.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    next: Instant,
    /// `None`: closed loop.
    period: Option<Duration>,
    end: Instant,
}

impl Pace {
    /// The pace of sender `index` of `senders`, which send `rate` a second together.
    pub(crate) fn new(
        start: Instant,
        end: Instant,
        rate: Option<f64>,
        index: usize,
        senders: usize,
    ) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "there are at most 60,000 senders"
        )]
        let (index, senders) = (index as f64, senders as f64);
        let period = rate.map(|rate| Duration::from_secs_f64(senders / rate));
        let offset = period.map_or(Duration::ZERO, |period| period.mul_f64(index / senders));
        Self {
            next: start + offset,
            period,
            end,
        }
    }

    /// Whether sends wait for nothing but the time.
    pub(crate) fn is_open(&self) -> bool {
        self.period.is_some()
    }

    /// Waits until something is due and says since when; `None` when the time is up. Safe to drop while it waits.
    pub(crate) async fn due(&mut self) -> Option<Instant> {
        let due = if self.is_open() {
            self.next
        } else {
            self.next.max(Instant::now())
        };
        if due >= self.end {
            return None;
        }
        sleep_until(due).await;
        if let Some(period) = self.period {
            self.next += period;
        }
        Some(due)
    }
}
