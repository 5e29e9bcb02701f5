//! What everybody in a load shares.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::Instant;
use url::Url;

use crate::LoadError;
use crate::check::{Checks, Wrongs};
use crate::front_end::FrontEnd;
use crate::measure::{Counts, Latencies};
use crate::options::{Options, Plan};
use crate::pace::{Pace, paces};
use crate::process::{Usage, Used};

/// How long what is under way at the end may take.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// One load, or a part of one.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) front_end: FrontEnd,
    pub(crate) beside: Option<Url>,
    pub(crate) key: Option<String>,
    pub(crate) model: String,
    /// Where people are kept.
    pub(crate) people_file: Option<PathBuf>,
    pids: Vec<u32>,
    /// What times in messages count from.
    pub(crate) origin: Instant,
    pub(crate) counts: Counts,
    pub(crate) checks: Checks,
    /// From when it was due to its confirmation.
    pub(crate) confirmed: Latencies,
    /// From when it was due to a receiver.
    pub(crate) delivered: Latencies,
    /// Where the parts of a load wait for each other to be ready.
    ready: Arc<Barrier>,
    parts: Mutex<Vec<Arc<Stage>>>,
}

/// A load that has begun.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) start: Instant,
    pub(super) end: Instant,
    before: Usage,
}

impl Stage {
    pub(crate) fn new(options: &Options, plan: Plan) -> Result<Self, LoadError> {
        Ok(Self {
            plan,
            front_end: FrontEnd::new(options.targets())?,
            beside: options.beside.clone(),
            key: options.key.clone(),
            model: options.model.clone(),
            people_file: options.people_file.clone(),
            pids: options.pid.clone(),
            origin: Instant::now(),
            counts: Counts::default(),
            checks: Checks::default(),
            confirmed: Latencies::default(),
            delivered: Latencies::default(),
            ready: Arc::new(Barrier::new(1)),
            parts: Mutex::default(),
        })
    }

    /// Parts of this load, which begin together; whoever plays this one takes part in the beginning.
    pub(super) fn divide(&self, plans: Vec<Plan>) -> (Vec<Arc<Self>>, Arc<Barrier>) {
        let ready = Arc::new(Barrier::new(plans.len() + 1));
        let part = |plan| {
            Arc::new(Self {
                plan,
                front_end: self.front_end.clone(),
                beside: None,
                key: None,
                model: self.model.clone(),
                people_file: None,
                pids: Vec::new(),
                origin: self.origin,
                counts: Counts::default(),
                checks: Checks::default(),
                confirmed: Latencies::default(),
                delivered: Latencies::default(),
                ready: Arc::clone(&ready),
                parts: Mutex::default(),
            })
        };
        let parts: Vec<_> = plans.into_iter().map(part).collect();
        (*self.parts.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&parts);
        (parts, ready)
    }

    /// Everything is ready: from here on it counts.
    pub(super) async fn begin(&self) -> Course {
        self.ready.wait().await;
        self.counts.reset();
        self.course()
    }

    /// The time from now on.
    pub(super) fn course(&self) -> Course {
        let start = Instant::now();
        Course {
            start,
            end: start + Duration::from_secs_f64(self.plan.duration),
            before: Usage::of(&self.pids),
        }
    }

    /// The paces of so many senders, by the plan.
    pub(super) fn paces(&self, course: &Course, senders: usize) -> Result<Vec<Pace>, LoadError> {
        Ok(paces(course.start, course.end, self.plan.rate, senders)?)
    }

    /// What was used since the beginning.
    pub(super) fn used_since(&self, course: &Course) -> Used {
        let later = Usage::of(&self.pids);
        course.before.until(&later)
    }

    /// What was done.
    pub(super) fn done(&self) -> u64 {
        self.counts.done.get()
    }

    /// What was begun and has no answer of any kind.
    pub(super) fn unanswered(&self) -> u64 {
        let answered = self.done() + self.counts.refused.get();
        self.counts.begun.get().saturating_sub(answered)
    }

    /// What was done and delivered, with that of the parts.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let own = (self.done(), self.counts.delivered.get());
        let parts = self.parts();
        parts.iter().fold(own, |sum, part| {
            (sum.0 + part.done(), sum.1 + part.counts.delivered.get())
        })
    }

    /// What was wrong, with that of the parts.
    pub(crate) fn wrongs(&self) -> Wrongs {
        let own = self.checks.now();
        let parts = self.parts();
        parts.iter().fold(own, |sum, part| sum + part.checks.now())
    }

    /// What the first error said, of whichever part.
    pub(crate) fn first_error(&self) -> Option<String> {
        let own = self.checks.first_error().map(str::to_owned);
        own.or_else(|| {
            let parts = self.parts();
            parts.iter().find_map(|part| part.first_error())
        })
    }

    fn parts(&self) -> Vec<Arc<Self>> {
        let parts = self.parts.lock();
        parts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until everything that was begun is done and each of it was delivered so often, for a while.
    pub(super) async fn settle(&self, deliveries_each: u64) {
        let patience = Instant::now() + GRACE;
        while Instant::now() < patience {
            let delivered = self.counts.delivered.get();
            if self.unanswered() == 0 && delivered >= self.done() * deliveries_each {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Course {
    /// So much in a second, up to now.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.start.elapsed().as_secs_f64()
    }
}
