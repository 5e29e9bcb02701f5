//! How slowly a file may come in.

use std::time::Duration;

use proptest::prelude::*;

use crate::pace::Pace;

#[test]
fn the_average_is_taken_over_thirty_seconds_of_waiting() {
    let second = Duration::from_secs(1);
    let mut pace = Pace::new(10);
    // Nothing for most of the window is made up for at its end.
    for _ in 0..29 {
        pace.record(second, 0).unwrap();
    }
    assert_eq!(pace.patience(), Some(second));
    pace.record(second, 300).unwrap();
    assert_eq!(pace.patience(), Some(30 * second), "a new window");
    assert!(pace.record(30 * second, 299).is_err());
}

#[test]
fn no_least_is_no_limit() {
    let mut pace = Pace::new(0);
    assert_eq!(pace.patience(), None);
    pace.record(Duration::from_hours(1), 0).unwrap();
}

proptest! {
    #[test]
    fn who_always_brings_enough_is_never_ended(pieces in prop::collection::vec(1..20_000_u64, 1..200)) {
        let mut pace = Pace::new(1000);
        for millis in pieces {
            prop_assert!(pace.record(Duration::from_millis(millis), millis + 1).is_ok());
        }
    }
}
