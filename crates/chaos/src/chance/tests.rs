//! What is said to a failpoint is what the crate `fail` makes of it.

use fail::FailScenario;
use fastrand::Rng;

use super::{VISITS, sometimes};

const POINT: &str = "chance_of_a_test";

/// At which visits it acts.
fn acts(share: f64, seed: u64) -> Vec<u32> {
    let said = sometimes(POINT, share, "return", &mut Rng::with_seed(seed));
    let (point, actions) = said.split_once('=').expect("a point and what it does");
    fail::cfg(point, actions).expect("actions that are understood");
    let visits = 0..VISITS;
    let acts = visits.filter(|_| fail::eval(POINT, |_| ()).is_some());
    acts.collect()
}

#[test]
fn one_seed_is_one_course_and_another_one_another() {
    let _alone = FailScenario::setup();
    for share in [0.1, 0.3] {
        let first = acts(share, 7);
        let expected = f64::from(VISITS) * share;
        let count = f64::from(u32::try_from(first.len()).expect("a few"));
        assert!((count - expected).abs() < expected / 4.0, "{count}");
        assert_eq!(acts(share, 7), first);
        assert_ne!(acts(share, 8), first);
    }
    assert_eq!(acts(0.0, 7), Vec::<u32>::new());
    assert_eq!(acts(1.0, 7).len(), VISITS as usize);
}
