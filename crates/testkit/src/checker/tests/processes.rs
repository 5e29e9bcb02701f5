//! Processes that keep their bounds and their times, and such that do not.

use std::time::Duration;

use crate::checker::Invariant;
use crate::checker::bounds::{Tolerance, Vitals, grown, left_behind, outcries};
use crate::checker::liveness::late;

const MIB: u64 = 1024 * 1024;

fn small() -> Vitals {
    Vitals {
        resident: 100 * MIB,
        files: 50,
        sockets: 20,
        threads: 10,
        gauges: [("waiting".to_owned(), 3.0)].into(),
    }
}

/// How many things are said to have grown after a change.
fn growth(change: impl FnOnce(&mut Vitals)) -> usize {
    let mut after = small();
    change(&mut after);
    let found = grown("g1", &small(), &after, &Tolerance::default());
    assert!(found.iter().all(|it| it.invariant == Invariant::Bounds));
    found.len()
}

#[test]
fn what_is_as_it_was_or_a_little_more_is_in_bounds() {
    let a_little = |vitals: &mut Vitals| {
        vitals.resident += 40 * MIB;
        vitals.files += 64;
        vitals.threads += 32;
        vitals.gauges.insert("waiting".to_owned(), 5.0);
    };
    assert_eq!(growth(|_| {}), 0);
    assert_eq!(growth(a_little), 0);
    assert_eq!(growth(|vitals| vitals.gauges.clear()), 0);
}

#[test]
fn everything_that_grew_and_stayed_is_seen() {
    assert_eq!(growth(|vitals| vitals.resident += 50 * MIB), 1);
    assert_eq!(growth(|vitals| vitals.files += 65), 1);
    assert_eq!(growth(|vitals| vitals.threads += 33), 1);
    for gauge in ["waiting", "one that is new"] {
        let longer = growth(|vitals| {
            vitals.gauges.insert(gauge.to_owned(), 6.0);
        });
        assert_eq!(longer, 1, "{gauge}");
    }
}

#[test]
fn a_crowd_that_moves_to_a_process_is_no_growth_and_takes_none_away() {
    let crowd = |vitals: &mut Vitals, files: u64| {
        vitals.sockets += 120;
        vitals.files += files;
    };
    assert_eq!(growth(|vitals| crowd(vitals, 120)), 0);
    assert_eq!(growth(|vitals| crowd(vitals, 120 + 65)), 1);
    let gone = |vitals: &mut Vitals| {
        vitals.sockets = 0;
        vitals.files += 45;
    };
    assert_eq!(growth(gone), 1, "what sockets had is kept by nobody");
    assert_eq!(left_behind(244, 244, 0), None);
    assert_eq!(left_behind(245, 244, 1), None);
    let found = left_behind(246, 244, 1).map(|it| it.invariant);
    assert_eq!(found, Some(Invariant::Bounds));
}

#[test]
fn panics_and_unexplained_errors_are_seen() {
    let log = "2026-11-21T08:00:00.1Z  INFO confab: serving\n\
               2026-11-21T08:00:00.2Z  WARN confab_gateway: an ERROR somewhere else\n\
               2026-11-21T08:00:00.3Z ERROR confab_threads: the disk is full\n\
               2026-11-21T08:00:00.4Z ERROR confab_threads: the moon is full\n\
               {\"timestamp\":\"2026\",\"level\":\"ERROR\",\"message\":\"the disk is full\"}\n\
               thread 'tokio-rt-worker' (7) panicked at src/lib.rs:1:2:\n\
               the disk is full";
    let said = |allowed: &[&str]| {
        let found = outcries("g1", log, allowed).into_iter();
        found.map(|violation| violation.what).collect::<Vec<_>>()
    };
    assert_eq!(said(&[]).len(), 4);
    let explained = said(&["the disk is full"]);
    assert_eq!(explained.len(), 2, "{explained:?}");
    assert!(explained[0].contains("the moon is full"));
    assert!(explained[1].contains("panicked"), "no panic is allowed");
}

#[test]
fn what_comes_late_or_never_is_seen() {
    let limit = Duration::from_secs(5);
    assert_eq!(late("all", Some(limit), limit), None);
    for took in [Some(limit * 2), None] {
        let found = late("all", took, limit).map(|violation| violation.invariant);
        assert_eq!(found, Some(Invariant::Liveness));
    }
}
