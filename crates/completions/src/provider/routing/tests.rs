//! What follows each failure: which candidate is asked next, with which key, and when.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};

use super::super::{Answer, Chat, Embedded, Prompt, Relay, Texts};
use super::{
    Call, Candidate, Cause, Failure, MOST_ATTEMPTS, Provider, ProviderError, Upstream, route,
};
use crate::catalogue::Model;
use crate::provider::tests::prompt;
use crate::settings::Limits;

const WINDOW: Duration = Duration::from_mins(2);

/// Who was asked with which key, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A provider that fails as it is told, then answers.
#[derive(Debug)]
struct Told {
    name: &'static str,
    keys: usize,
    failures: Mutex<VecDeque<Cause>>,
    log: Log,
}

#[async_trait::async_trait]
impl Provider for Told {
    fn keys(&self) -> usize {
        self.keys
    }

    async fn ask(&self, _: &Prompt, _: usize) -> Result<Answer, Failure> {
        unreachable!("only vectors are asked for here")
    }

    async fn chat(&self, _: &Chat, _: &Model, _: usize) -> Result<Relay, Failure> {
        unreachable!("only vectors are asked for here")
    }

    async fn embed(&self, _: &Texts, model: &Model, key: usize) -> Result<Embedded, Failure> {
        let asked = format!("{}{key}/{}", self.name, model.id);
        self.log.lock().unwrap().push(asked);
        match self.failures.lock().unwrap().pop_front() {
            Some(Cause::Length) => Err(Failure::too_long()),
            Some(cause) => Err(Failure::new(cause, format!("{} failed", self.name))),
            None => Ok(Embedded {
                vectors: Vec::new(),
                tokens: None,
            }),
        }
    }
}

/// Providers and what they were asked.
#[derive(Default)]
struct World {
    candidates: Vec<Candidate>,
    log: Log,
}

impl World {
    /// One more provider, which fails so for one call after the other.
    fn with(mut self, name: &'static str, keys: usize, failures: &[Cause]) -> Self {
        let told = Told {
            name,
            keys,
            failures: Mutex::new(failures.iter().copied().collect()),
            log: Arc::clone(&self.log),
        };
        let limits = Limits {
            max_concurrency: 1,
            breaker_failures: 3,
            ..Limits::default()
        };
        let upstream = Upstream::new(name, Box::new(told), 2, Some(limits));
        self.candidates.push(Candidate {
            model: prompt("").model,
            upstream: Arc::new(upstream),
        });
        self
    }

    /// Who is asked by a call, and how it ends.
    async fn ask(&self) -> (Vec<String>, Result<(), ProviderError>) {
        self.log.lock().unwrap().clear();
        let texts = Texts {
            inputs: Vec::new(),
            dimensions: 0,
        };
        let reached = route(self.candidates.clone(), WINDOW, &texts).await;
        (self.log.lock().unwrap().clone(), reached.map(drop))
    }
}

fn failed(text: &str) -> Result<(), ProviderError> {
    Err(ProviderError::Failed(text.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn the_first_that_answers_is_enough() {
    let world = World::default().with("a", 2, &[]).with("b", 1, &[]);
    assert_eq!(world.ask().await, (vec!["a0/0".to_owned()], Ok(())));
}

#[tokio::test(start_paused = true)]
async fn each_failure_leads_where_the_table_says() {
    let moment = Cause::Moment(None);
    let limited = Cause::Limited(None);
    let cases: &[(&[Cause], &[&str])] = &[
        (&[moment], &["a0/0", "b0/0"]),
        (&[Cause::Provider], &["a0/0", "b0/0"]),
        (&[Cause::Settings], &["a0/0", "b0/0"]),
        (&[limited], &["a0/0", "a1/0"]),
        (&[Cause::Key], &["a0/0", "a1/0"]),
        (&[limited, limited], &["a0/0", "a1/0", "b0/0"]),
        (&[limited, moment], &["a0/0", "a1/0", "b0/0"]),
        (&[Cause::Key, Cause::Key], &["a0/0", "a1/0", "b0/0"]),
    ];
    for (failures, asked) in cases {
        let world = World::default().with("a", 2, failures).with("b", 1, &[]);
        let (log, end) = world.ask().await;
        assert_eq!(
            (log.as_slice(), end),
            (owned(asked).as_slice(), Ok(())),
            "{failures:?}"
        );
    }
    let world = World::default()
        .with("a", 2, &[Cause::Request])
        .with("b", 1, &[]);
    assert_eq!(world.ask().await, (owned(&["a0/0"]), failed("a failed")));
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn what_failed_for_the_moment_is_tried_again_as_often_as_settings_say() {
    let moment = Cause::Moment(None);
    let world = World::default()
        .with("a", 1, &[moment; 2])
        .with("b", 1, &[moment; 2]);
    let began = Instant::now();
    let (log, end) = world.ask().await;
    assert_eq!(log, ["a0/0", "b0/0", "a0/0", "b0/0", "a0/0"]);
    assert_eq!(end, Ok(()));
    assert!(began.elapsed() <= Duration::from_millis(1_502));

    let told = Cause::Moment(Some(Duration::from_secs(4)));
    let world = World::default().with("a", 1, &[told]);
    let began = Instant::now();
    assert_eq!(world.ask().await, (owned(&["a0/0", "a0/0"]), Ok(())));
    assert!((4..=5).contains(&began.elapsed().as_secs()));

    let hour = Cause::Moment(Some(Duration::from_hours(1)));
    let world = World::default().with("a", 1, &[hour]);
    assert_eq!(world.ask().await, (owned(&["a0/0"]), failed("a failed")));
}

#[tokio::test(start_paused = true)]
async fn what_would_fail_again_is_not_tried_again() {
    for cause in [Cause::Provider, Cause::Settings, Cause::Key, Cause::Request] {
        let world = World::default().with("a", 1, &[cause]);
        assert_eq!(
            world.ask().await,
            (owned(&["a0/0"]), failed("a failed")),
            "{cause:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_limited_key_rests_and_is_used_again_afterwards() {
    let told = Duration::from_secs(7);
    let world = World::default().with("a", 2, &[Cause::Limited(Some(told))]);
    assert_eq!(world.ask().await.0, ["a0/0", "a1/0"]);
    assert_eq!(world.ask().await.0, ["a1/0"]);
    advance(told).await;
    assert_eq!(world.ask().await.0, ["a0/0"]);
}

#[tokio::test(start_paused = true)]
async fn when_every_key_rests_on_a_guess_one_is_tried_and_a_told_rest_is_kept() {
    let limited = Cause::Limited(None);
    let world = World::default().with("a", 1, &[limited; 4]);
    assert_eq!(world.ask().await, (owned(&["a0/0"; 3]), failed("a failed")));
    assert_eq!(world.ask().await, (owned(&["a0/0"; 2]), Ok(())));

    let told = Cause::Limited(Some(Duration::from_mins(2)));
    let world = World::default().with("a", 1, &[told]);
    assert_eq!(world.ask().await, (owned(&["a0/0"]), failed("a failed")));
    let resting = failed("every key of a is used too much");
    assert_eq!(world.ask().await, (Vec::new(), resting));
}

#[tokio::test(start_paused = true)]
async fn only_a_larger_context_is_asked_when_the_prompt_is_too_long() {
    let mut world = World::default()
        .with("a", 1, &[Cause::Length])
        .with("b", 1, &[])
        .with("c", 1, &[]);
    world.candidates[2].model.id = 4;
    world.candidates[2].model.context_length = 128_000;
    assert_eq!(world.ask().await, (owned(&["a0/0", "c0/4"]), Ok(())));
    world.candidates.truncate(1);
    let again = World::default()
        .with("a", 1, &[Cause::Length])
        .with("b", 1, &[]);
    assert_eq!(
        again.ask().await,
        (owned(&["a0/0"]), Err(ProviderError::TooLong))
    );
}

#[tokio::test(start_paused = true)]
async fn a_sick_provider_is_left_alone_until_its_breaker_closes() {
    let sick = Cause::Provider;
    let world = World::default().with("a", 1, &[sick; 3]).with("b", 1, &[]);
    for _ in 0..3 {
        assert_eq!(world.ask().await.0, ["a0/0", "b0/0"]);
    }
    assert_eq!(world.ask().await.0, ["b0/0"]);
    advance(Duration::from_secs(30)).await;
    assert_eq!(world.ask().await.0, ["a0/0"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_provider_is_passed_by_after_the_queue() {
    let world = World::default().with("a", 1, &[]).with("b", 1, &[]);
    let held = world.candidates[0].upstream.place().await.unwrap();
    let began = Instant::now();
    assert_eq!(world.ask().await.0, ["b0/0"]);
    assert_eq!(began.elapsed().as_millis() / 100, 10);
    let other = world.candidates[1].upstream.place().await.unwrap();
    assert_eq!(world.ask().await, (Vec::new(), Err(ProviderError::Busy)));
    drop((held, other));
    assert_eq!(world.ask().await.0, ["a0/0"]);
}

#[tokio::test(start_paused = true)]
async fn one_call_makes_no_more_attempts_than_allowed() {
    let world = World::default().with("a", 40, &[Cause::Limited(None); 40]);
    let (log, end) = world.ask().await;
    assert_eq!((log.len(), end), (MOST_ATTEMPTS, failed("a failed")));
}

/// Takes its time for each attempt.
struct Slow(Semaphore);

#[async_trait::async_trait]
impl Call for Slow {
    type Begun = ();

    async fn attempt(&self, _: &dyn Provider, _: &Model, _: usize) -> Result<(), Failure> {
        self.0.add_permits(1);
        tokio::time::sleep(Duration::from_secs(50)).await;
        Err(Failure::new(Cause::Moment(None), "slow"))
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_begun_after_the_window() {
    let mut world = World::default();
    for name in ["a", "b", "c", "d"] {
        world = world.with(name, 1, &[]);
    }
    let slow = Slow(Semaphore::new(0));
    let reached = route(world.candidates, WINDOW, &slow).await;
    assert_eq!(reached.map(drop), failed("slow"));
    assert_eq!(slow.0.available_permits(), 3);
}
