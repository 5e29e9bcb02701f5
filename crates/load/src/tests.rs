//! Plans, paces and checks, without a target.

use std::time::Duration;

use tokio::time::Instant;

use crate::check::{Checks, Seen};
use crate::measure::Latencies;
use crate::options::{Amount, Plan, Scenario};
use crate::pace::Pace;

#[tokio::test(start_paused = true)]
async fn an_open_pace_does_not_wait_for_slow_sends() {
    let start = Instant::now();
    let end = start + Duration::from_secs(1);
    // Two senders of 10 a second together: each every 200 ms, 100 ms apart.
    let mut first = Pace::new(start, end, Some(10.0), 0, 2);
    let mut second = Pace::new(start, end, Some(10.0), 1, 2);
    assert_eq!(first.due().await.unwrap() - start, Duration::ZERO);
    assert_eq!(
        second.due().await.unwrap() - start,
        Duration::from_millis(100)
    );
    // A send that takes a while: what was due meanwhile is due since then.
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(
        first.due().await.unwrap() - start,
        Duration::from_millis(200)
    );
    assert_eq!(
        first.due().await.unwrap() - start,
        Duration::from_millis(400)
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_pace_ends_with_the_time() {
    let start = Instant::now();
    let mut pace = Pace::new(start, start + Duration::from_secs(1), None, 3, 8);
    assert_eq!(pace.due().await, Some(start));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(pace.due().await, None);
}

#[test]
fn each_wrong_is_counted_as_what_it_is() {
    let checks = Checks::default();
    let mut seen = Seen::default();
    // The first one says where the thread stands.
    assert!(seen.take(7, &checks));
    assert!(seen.take(8, &checks));
    assert!(checks.now().is_none());
    assert!(!seen.take(8, &checks));
    assert_eq!(checks.now().doubled, 1);
    assert!(!seen.take(6, &checks));
    assert_eq!(checks.now().reordered, 1);
    assert!(seen.take(10, &checks));
    assert_eq!(checks.now().gaps, 1);
    checks.lost(3);
    assert_eq!(checks.now().lost, 3);
    assert!(!checks.now().is_none());
}

#[test]
fn an_error_breaks_no_promise() {
    let checks = Checks::default();
    checks.error();
    assert_eq!(checks.now().errors, 1);
    assert!(checks.now().is_none());
}

#[test]
fn quantiles_are_of_everything_recorded() {
    let latencies = Latencies::default();
    assert_eq!(latencies.summary(), None);
    for milliseconds in 1..=1_000 {
        latencies.record(Duration::from_millis(milliseconds));
    }
    let summary = latencies.summary().unwrap();
    assert_eq!(summary.count, 1_000);
    assert!((summary.p50 - 500.0).abs() < 2.0, "{summary:?}");
    assert!((summary.p99 - 990.0).abs() < 2.0, "{summary:?}");
    assert!((summary.max - 1_000.0).abs() < 2.0, "{summary:?}");
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let plan = |text: &str| Plan::new(Scenario::Direct, &toml::from_str::<Amount>(text).unwrap());
    assert_eq!(plan("").unwrap().sockets, 256);
    assert!(plan("rate = 0.0").is_err());
    assert!(plan("duration = -1.0").is_err());
    assert!(plan("people = 3\nsockets = 6").is_err());
    assert!(plan("people = 8\nsockets = 4").is_err());
    assert!(toml::from_str::<Amount>("sokets = 4").is_err());
}
