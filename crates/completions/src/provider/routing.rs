//! Who answers: what comes next when an attempt brought nothing. Once an answer has begun nothing is tried again.
//!
//! The candidates are the model's providers in their order, then those of its alternatives. What a failure leads to:
//!
//! | What came | Told by | What follows |
//! |---|---|---|
//! | no connection, cut before the first text, 408, 409, 425, 5xx | the moment | the next candidate; in the next round this one again; counts for its breaker |
//! | no text in time, an answer that is none | the provider | the next candidate, never this one again; counts for its breaker |
//! | 429 | the key | it rests (`Retry-After`, else 20 s); the next key, then the next candidate |
//! | 401, 402, 403, 429 `insufficient_quota` | the key | the operator is told; it rests for a minute; the next key, then the next candidate |
//! | 404, 405, 3xx, what is not configured | the settings | the operator is told; the next candidate |
//! | too long (400 `context_length_exceeded`, 413 …) | the length | only models with a larger context |
//! | 400, 422, every other 4xx; what an agent refuses | the request | told at once |
//! | every place taken for `queue_ms`; the breaker is open | — | the next candidate |
//!
//! When all candidates have failed for the moment there is another round after a pause, as often as the provider's
//! `retries` say. Limits: [`MOST_ATTEMPTS`], and `route_seconds`, after which no attempt is begun. What is told in the end
//! is a refusal of the request if there was one, else the last failure.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::failure::{Cause, Failure};
use super::upstream::{Place, Upstream};
use super::{Provider, ProviderError};
use crate::catalogue::Model;

#[cfg(test)]
mod tests;

/// Attempts of one call, over all candidates, keys and rounds.
const MOST_ATTEMPTS: usize = 16;
/// The first pause is at most this long, and each further one at most twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A model at one of its providers.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) model: Model,
    pub(super) upstream: Arc<Upstream>,
}

/// What providers are asked.
#[async_trait::async_trait]
pub(super) trait Call: Send + Sync {
    /// What has begun when an attempt succeeds.
    type Begun: Send;

    /// One attempt with one key; it lasts until there is something to show.
    async fn attempt(
        &self,
        provider: &dyn Provider,
        model: &Model,
        key: usize,
    ) -> Result<Self::Begun, Failure>;
}

/// A call that has begun to be answered.
pub(super) struct Reached<T> {
    pub(super) candidate: Candidate,
    pub(super) begun: T,
    pub(super) place: Place,
}

/// One call on its way through the candidates.
struct Route<'a, C> {
    call: &'a C,
    until: Instant,
    attempts: usize,
    refusal: Option<ProviderError>,
    last: Option<ProviderError>,
    /// The largest context that was too small.
    too_small: u32,
}

/// What came of asking one candidate.
enum Tried<T> {
    Begun(T, Place),
    /// Nobody will take the request.
    Refused,
    /// It is not asked again for this call.
    Out,
    /// It may be asked again; perhaps it says when.
    Later(Option<Duration>),
}

/// A candidate that may be asked again, perhaps after a time that it has told.
type Later = (Candidate, Option<Duration>);

/// Asks the candidates until one begins to answer.
pub(super) async fn route<C: Call>(
    candidates: Vec<Candidate>,
    window: Duration,
    call: &C,
) -> Result<Reached<C::Begun>, ProviderError> {
    let mut route = Route {
        call,
        until: Instant::now() + window,
        attempts: 0,
        refusal: None,
        last: None,
        too_small: 0,
    };
    let first = candidates.first().cloned();
    let reached = route.rounds(candidates).await;
    if let (Ok(reached), Some(first)) = (&reached, &first) {
        report(first, &reached.candidate);
    }
    reached
}

impl<C: Call> Route<'_, C> {
    async fn rounds(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> Result<Reached<C::Begun>, ProviderError> {
        let mut later = match self.round(candidates, false).await? {
            ControlFlow::Break(reached) => return Ok(reached),
            ControlFlow::Continue(later) => later,
        };
        // Every key rests on a guess, perhaps: better to try it than to give up.
        if self.attempts == 0 {
            let candidates = later.into_iter().map(|(candidate, _)| candidate).collect();
            later = match self.round(candidates, true).await? {
                ControlFlow::Break(reached) => return Ok(reached),
                ControlFlow::Continue(later) => later,
            };
        }
        let mut round = 0;
        loop {
            later.retain(|(candidate, told)| {
                candidate.upstream.retries > round && told.is_none_or(|told| told <= LONGEST_PAUSE)
            });
            let pauses = later.iter().map(|(_, told)| pause(*told, round));
            let Some(pause) = pauses.min() else {
                return Err(self.failure());
            };
            if !self.has_time(pause) {
                return Err(self.failure());
            }
            tracing::debug!(round, ?pause, "providers are tried again");
            sleep(pause).await;
            round += 1;
            let candidates = later.into_iter().map(|(candidate, _)| candidate).collect();
            later = match self.round(candidates, true).await? {
                ControlFlow::Break(reached) => return Ok(reached),
                ControlFlow::Continue(later) => later,
            };
        }
    }

    /// Asks each candidate once; says which may be asked again.
    async fn round(
        &mut self,
        candidates: Vec<Candidate>,
        anyway: bool,
    ) -> Result<ControlFlow<Reached<C::Begun>, Vec<Later>>, ProviderError> {
        let mut later = Vec::new();
        for candidate in candidates {
            if !self.has_time(Duration::ZERO) {
                return Err(self.failure());
            }
            match self.ask(&candidate, anyway).await {
                Tried::Begun(begun, place) => {
                    return Ok(ControlFlow::Break(Reached {
                        candidate,
                        begun,
                        place,
                    }));
                }
                Tried::Refused => return Err(self.failure()),
                Tried::Out => {}
                Tried::Later(told) => later.push((candidate, told)),
            }
        }
        Ok(ControlFlow::Continue(later))
    }

    /// Asks one candidate with one key after the other.
    async fn ask(&mut self, candidate: &Candidate, anyway: bool) -> Tried<C::Begun> {
        let Candidate { model, upstream } = candidate;
        if model.context_length <= self.too_small {
            return Tried::Out;
        }
        let mut tried = Vec::new();
        let mut limited = false;
        while let Some(key) = upstream.key(&tried, anyway) {
            if self.attempts == MOST_ATTEMPTS {
                return Tried::Out;
            }
            let entered = match upstream.enter() {
                Ok(trial) => upstream.place().await.map(|place| (trial, place)),
                Err(error) => Err(error),
            };
            let (trial, place) = match entered {
                Ok(entered) => entered,
                Err(error) => {
                    self.last = Some(error);
                    return Tried::Out;
                }
            };
            tried.push(key);
            self.attempts += 1;
            let since = Instant::now();
            let provider = upstream.provider.as_ref();
            let failure = match self.call.attempt(provider, model, key).await {
                Ok(begun) => {
                    upstream.judge(trial, false);
                    upstream.count(&model.name, "ok");
                    upstream.measure_first(&model.name, since.elapsed());
                    return Tried::Begun(begun, place);
                }
                Err(failure) => failure,
            };
            upstream.judge(trial, failure.cause.is_sickness());
            upstream.count(&model.name, failure.cause.outcome());
            match self.learn(candidate, key, failure) {
                Next::Key => limited = true,
                Next::WrongKey => {}
                Next::Later(told) => return Tried::Later(told),
                Next::Out => return Tried::Out,
                Next::Refused => return Tried::Refused,
            }
        }
        if tried.is_empty() {
            let resting = format!("every key of {} is used too much", upstream.name);
            self.last.get_or_insert(ProviderError::Failed(resting));
        }
        if limited || tried.is_empty() {
            Tried::Later(upstream.rest_left())
        } else {
            Tried::Out
        }
    }

    /// The table above.
    fn learn(&mut self, candidate: &Candidate, key: usize, failure: Failure) -> Next {
        let Candidate { model, upstream } = candidate;
        let Failure { error, cause } = failure;
        tracing::warn!(
            provider = upstream.name, model = model.name, key, %error, ?cause,
            "a provider did not answer"
        );
        match cause {
            Cause::Request => {
                self.refusal = Some(error);
                return Next::Refused;
            }
            Cause::Length => {
                self.too_small = self.too_small.max(model.context_length);
                self.refusal = Some(error);
                return Next::Out;
            }
            _ => self.last = Some(error),
        }
        match cause {
            Cause::Limited(told) => {
                upstream.rest_limited(key, told);
                Next::Key
            }
            Cause::Key => {
                upstream.rest_wrong(key);
                Next::WrongKey
            }
            Cause::Moment(told) => Next::Later(told),
            _ => Next::Out,
        }
    }

    fn has_time(&self, pause: Duration) -> bool {
        Instant::now() + pause < self.until
    }

    fn failure(&mut self) -> ProviderError {
        let told = self.refusal.take().or_else(|| self.last.take());
        told.unwrap_or(ProviderError::Unconfigured)
    }
}

/// What follows a failed attempt.
enum Next {
    /// Another key of the same provider; this one will do again.
    Key,
    /// Another key of the same provider; this one will not do.
    WrongKey,
    Later(Option<Duration>),
    Out,
    Refused,
}

/// Full jitter: clients that failed together do not come back together.
fn pause(told: Option<Duration>, round: u32) -> Duration {
    if let Some(told) = told {
        return told + (told / 4).mul_f64(fastrand::f64());
    }
    let longest = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(round))
        .min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
}

fn report(first: &Candidate, reached: &Candidate) {
    let name =
        |candidate: &Candidate| format!("{}/{}", candidate.upstream.name, candidate.model.name);
    let (from, to) = (name(first), name(reached));
    if from != to {
        tracing::info!(from, to, "another one answers");
        metrics::counter!("confab_provider_fallbacks_total", "from" => from, "to" => to)
            .increment(1);
    }
}
