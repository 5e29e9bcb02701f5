//! Keeping a run while working on it, and patience with what is away for a moment.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{Engine, watch};
use crate::error::Error;
use crate::store::Lease;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Engine {
    /// Does the work while the lease is renewed; `None` when it was lost: the work has stopped where it was, and
    /// somebody else ends the run.
    pub(crate) async fn hold<T>(&self, lease: Lease, work: impl Future<Output = T>) -> Option<T> {
        let period = self.round();
        let mut beat = interval_at(Instant::now() + period, period);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = pin!(work);
        let mut until = self.lease_until();
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                _ = beat.tick() => {
                    // Never what stands there already, also when the clock was set back: whoever watches sees a change.
                    until = self.lease_until().max(until + TimeDelta::microseconds(1));
                    match self.store.renew(lease, until).await {
                        Ok(true) => {}
                        Ok(false) => return None,
                        // As long as nobody else raises the fence, the run is still this one's.
                        Err(error) => {
                            tracing::warn!(run = %lease.run_id, %error, "cannot renew a lease");
                        }
                    }
                }
            }
        }
    }

    /// Tries a step that can be repeated, for as long as a lease lasts, while it fails for reasons that may pass.
    pub(crate) async fn insist<T, F>(&self, mut step: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let patience = Instant::now() + self.lease_length();
        let mut pause = FIRST_PAUSE;
        loop {
            match step().await {
                Err(error) if error.may_pass() && Instant::now() + pause < patience => {
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                done => return done,
            }
        }
    }

    /// How often a lease is renewed, and looked at by the others.
    pub(super) fn round(&self) -> Duration {
        self.lease_length() / watch::ROUNDS
    }

    /// What a lease says: by the clock of this process, so nobody else compares it with theirs.
    pub(super) fn lease_until(&self) -> DateTime<Utc> {
        let seconds = i64::try_from(self.settings.lease_seconds).unwrap_or(i64::MAX);
        self.clock.now() + TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX)
    }

    pub(super) fn lease_length(&self) -> Duration {
        Duration::from_secs(self.settings.lease_seconds)
    }
}
