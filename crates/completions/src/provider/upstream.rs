//! One provider with all that limits it: places, keys that rest, its breaker. And what is measured of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::breaker::{Breaker, State, Trial};
use super::{Provider, ProviderError};
use crate::settings::Limits;

/// How long a key rests that is limited, when the provider does not say.
const LIMITED: Duration = Duration::from_secs(20);
/// How long a key rests that is wrong.
const WRONG: Duration = Duration::from_mins(1);
/// No provider keeps a key from its use for longer.
const LONGEST: Duration = Duration::from_mins(5);

/// A provider that may be asked.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) provider: Box<dyn Provider>,
    /// How often it is tried again when nothing else answers.
    pub(super) retries: u32,
    places: Option<Arc<Semaphore>>,
    patience: Duration,
    breaker: Breaker,
    keys: Mutex<Vec<Option<Rest>>>,
}

/// A key is not used for a while.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// The provider said for how long. Otherwise it is a guess, and the key is used when there is nothing else.
    told: bool,
}

/// A place at a provider, held for as long as an answer is read.
#[derive(Debug)]
pub(super) struct Place {
    upstream: Arc<Upstream>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Upstream {
    pub(super) fn new(
        name: &str,
        provider: Box<dyn Provider>,
        retries: u32,
        limits: Option<Limits>,
    ) -> Self {
        let limits = limits.unwrap_or(Limits {
            breaker_failures: u32::MAX,
            ..Limits::default()
        });
        Self {
            name: name.to_owned(),
            retries,
            places: (limits.max_concurrency > 0)
                .then(|| Arc::new(Semaphore::new(limits.max_concurrency))),
            patience: Duration::from_millis(limits.queue_ms),
            breaker: Breaker::new(
                limits.breaker_failures,
                Duration::from_secs(limits.breaker_seconds),
            ),
            keys: Mutex::new(vec![None; provider.keys()]),
            provider,
        }
    }

    /// Leave to ask it, as far as its health goes.
    pub(super) fn enter(&self) -> Result<Trial, ProviderError> {
        let trial = self.breaker.enter();
        self.show_breaker();
        trial.ok_or_else(|| {
            ProviderError::Failed(format!(
                "{} has failed too often and is left alone for a while",
                self.name
            ))
        })
    }

    /// What an attempt said about its health.
    pub(super) fn judge(&self, trial: Trial, sick: bool) {
        if sick {
            trial.fail();
        } else {
            trial.succeed();
        }
        self.show_breaker();
    }

    /// A place, as soon as one is free.
    pub(super) async fn place(self: &Arc<Self>) -> Result<Place, ProviderError> {
        let permit = match &self.places {
            None => None,
            Some(places) => {
                let waiting = timeout(self.patience, Arc::clone(places).acquire_owned());
                match waiting.await {
                    Ok(Ok(permit)) => Some(permit),
                    Ok(Err(_)) | Err(_) => return Err(ProviderError::Busy),
                }
            }
        };
        self.in_flight().increment(1.0);
        Ok(Place {
            upstream: Arc::clone(self),
            _permit: permit,
        })
    }

    /// The first key that does not rest and was not tried. With `anyway` also one whose rest is only a guess.
    pub(super) fn key(&self, tried: &[usize], anyway: bool) -> Option<usize> {
        let now = Instant::now();
        let keys = self.lock();
        let awake = |rest: &Option<Rest>| rest.is_none_or(|rest| rest.until <= now);
        let usable = |rest: &Option<Rest>| awake(rest) || rest.is_some_and(|rest| !rest.told);
        let find = |fits: &dyn Fn(&Option<Rest>) -> bool| {
            (0..keys.len()).find(|key| !tried.contains(key) && fits(&keys[*key]))
        };
        find(&awake).or_else(|| find(&usable).filter(|_| anyway))
    }

    /// How long it takes until one of its keys has rested for as long as the provider said; `None` when one may be used
    /// now, or not soon.
    pub(super) fn rest_left(&self) -> Option<Duration> {
        let now = Instant::now();
        let keys = self.lock();
        let left = keys.iter().map(|rest| match rest {
            Some(rest) if rest.told => rest.until.saturating_duration_since(now),
            _ => Duration::ZERO,
        });
        left.min().filter(|left| !left.is_zero())
    }

    pub(super) fn rest_limited(&self, key: usize, told: Option<Duration>) {
        self.rest(key, told.unwrap_or(LIMITED), told.is_some());
    }

    pub(super) fn rest_wrong(&self, key: usize) {
        self.rest(key, WRONG, false);
    }

    fn rest(&self, key: usize, pause: Duration, told: bool) {
        let until = Instant::now() + pause.min(LONGEST);
        if let Some(rest) = self.lock().get_mut(key) {
            *rest = Some(Rest { until, told });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Rest>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt of so long came to this.
    pub(super) fn count(&self, model: &str, outcome: &'static str) {
        metrics::counter!(
            "confab_provider_requests_total",
            "provider" => self.name.clone(), "model" => model.to_owned(), "outcome" => outcome
        )
        .increment(1);
    }

    pub(super) fn measure_first(&self, model: &str, took: Duration) {
        metrics::histogram!(
            "confab_provider_first_token_seconds",
            "provider" => self.name.clone(), "model" => model.to_owned()
        )
        .record(took.as_secs_f64());
    }

    fn show_breaker(&self) {
        let state = match self.breaker.state() {
            State::Closed { .. } => 0.0,
            State::HalfOpen { .. } => 1.0,
            State::Open { .. } => 2.0,
        };
        metrics::gauge!("confab_provider_breaker_state", "provider" => self.name.clone())
            .set(state);
    }

    fn in_flight(&self) -> metrics::Gauge {
        metrics::gauge!("confab_provider_in_flight", "provider" => self.name.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.upstream.in_flight().decrement(1.0);
    }
}
