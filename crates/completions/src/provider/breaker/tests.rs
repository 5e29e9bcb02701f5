//! When a breaker opens and closes.

use std::time::Duration;

use tokio::time::advance;

use super::{Breaker, State};

const PAUSE: Duration = Duration::from_secs(30);

fn fail(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.enter().unwrap().fail();
    }
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let breaker = Breaker::new(3, PAUSE);
    fail(&breaker, 2);
    breaker.enter().unwrap().succeed();
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed { failures: 2 });
    fail(&breaker, 1);
    assert!(breaker.enter().is_none());
    advance(Duration::from_millis(29_999)).await;
    assert!(breaker.enter().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_trial_after_the_pause_decides() {
    let breaker = Breaker::new(1, PAUSE);
    fail(&breaker, 1);
    advance(PAUSE).await;
    let trial = breaker.enter().unwrap();
    assert!(breaker.enter().is_none(), "one at a time");
    trial.fail();
    assert!(breaker.enter().is_none(), "open for another while");
    advance(PAUSE).await;
    breaker.enter().unwrap().succeed();
    assert_eq!(breaker.state(), State::Closed { failures: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_given_up_is_given_to_the_next() {
    let breaker = Breaker::new(1, PAUSE);
    fail(&breaker, 1);
    advance(PAUSE).await;
    drop(breaker.enter().unwrap());
    assert!(breaker.enter().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_began_before_it_opened_changes_nothing() {
    let breaker = Breaker::new(1, PAUSE);
    let (well, sick) = (breaker.enter().unwrap(), breaker.enter().unwrap());
    fail(&breaker, 1);
    let open = breaker.state();
    advance(PAUSE / 2).await;
    well.succeed();
    sick.fail();
    assert_eq!(breaker.state(), open);
}
