//! How often and when an attempt is made again.

use std::cell::Cell;
use std::future::{pending, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::super::retry::{Again, Failure, until_text};
use crate::provider::ProviderError;

const LIMIT: Duration = Duration::from_mins(1);

/// Makes attempts that fail so until they are used up; then they bring text.
async fn attempts(
    retries: u32,
    limit: Duration,
    failures: &[Again],
) -> (usize, Duration, Result<(), ProviderError>) {
    let (made, began) = (Cell::new(0), Instant::now());
    let outcome = until_text(retries, limit, || {
        let number = made.replace(made.get() + 1);
        let failed = |again: &Again| Err(Failure::new(*again, number.to_string()));
        ready(failures.get(number).map_or(Ok(()), failed))
    })
    .await;
    (made.get(), began.elapsed(), outcome)
}

fn failed(text: &str) -> Result<(), ProviderError> {
    Err(ProviderError::Failed(text.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_moment_is_tried_again() {
    let (made, took, outcome) = attempts(2, LIMIT, &[Again::Soon; 2]).await;
    assert_eq!((made, outcome), (3, Ok(())));
    assert!(took <= Duration::from_millis(1_502), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_told_when_the_attempts_are_used_up() {
    let (made, _, outcome) = attempts(2, LIMIT, &[Again::Soon; 9]).await;
    assert_eq!((made, outcome), (3, failed("2")));
    let (made, _, outcome) = attempts(0, LIMIT, &[Again::Soon; 9]).await;
    assert_eq!((made, outcome), (1, failed("0")));
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_is_told_at_once() {
    let (made, took, outcome) = attempts(9, LIMIT, &[Again::Never]).await;
    assert_eq!((made, took, outcome), (1, Duration::ZERO, failed("0")));
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_wait() {
    let asked = Duration::from_secs(4);
    let (made, took, outcome) = attempts(1, LIMIT, &[Again::After(asked)]).await;
    assert_eq!((made, outcome), (2, Ok(())));
    assert!(
        took >= asked && took <= Duration::from_millis(5_001),
        "{took:?}"
    );

    let hour = Duration::from_hours(1);
    let (_, took, outcome) = attempts(1, LIMIT, &[Again::After(hour)]).await;
    assert_eq!(outcome, Ok(()));
    assert!(took < Duration::from_secs(38), "capped: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_attempt_that_would_be_late() {
    let asked = Again::After(Duration::from_secs(5));
    let (made, took, outcome) = attempts(1, Duration::from_secs(5), &[asked]).await;
    assert_eq!((made, took, outcome), (1, Duration::ZERO, failed("0")));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_limit_and_is_not_tried_again() {
    let (made, began) = (Cell::new(0), Instant::now());
    let outcome: Result<(), _> = until_text(9, LIMIT, || {
        made.set(made.get() + 1);
        pending()
    })
    .await;
    assert_eq!(outcome, failed("no text within 60000 ms"));
    assert_eq!((made.get(), began.elapsed().as_secs()), (1, 60));
}
