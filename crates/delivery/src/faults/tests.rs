//! What each fault does to the entries of one way.

use confab_rpc::delivery::Events;
use confab_rpc::threads::Entry;

use super::{DOUBLE, DROP, Faults, SWAP};
use crate::To;

/// Entries of these threads and numbers.
fn events<const N: usize>(entries: [(i64, i64); N]) -> Events {
    let entry = |(thread, seq)| Entry {
        thread,
        seq,
        ..Entry::default()
    };
    Events {
        entries: entries.map(entry).into(),
    }
}

fn places(events: &Events) -> Vec<(i64, i64)> {
    let entries = events.entries.iter();
    entries.map(|entry| (entry.thread, entry.seq)).collect()
}

#[test]
fn entries_are_lost_doubled_and_swapped() {
    let cases: [(&str, &[(i64, i64)]); 4] = [
        (DROP, &[]),
        (DOUBLE, &[(1, 1), (1, 1), (1, 2), (1, 2), (1, 3), (1, 3)]),
        (SWAP, &[(1, 2), (1, 1)]),
        ("another", &[(1, 1), (1, 2), (1, 3)]),
    ];
    for (point, expected) in cases {
        let sent = events([(1, 1), (1, 2), (1, 3)]);
        let arrived = Faults::default().alter(&To::All, sent, |struck| struck == point);
        assert_eq!(places(&arrived), expected, "{point}");
    }
}

#[test]
fn a_late_entry_follows_the_next_of_its_thread_on_its_way() {
    let faults = Faults::default();
    let always = |point: &str| point == SWAP;
    let nothing = places(&faults.alter(&To::All, events([(1, 1)]), always));
    assert_eq!(nothing, []);
    let elsewhere = To::Gateways(Vec::new());
    let nothing = places(&faults.alter(&elsewhere, events([(1, 1)]), always));
    assert_eq!(nothing, []);
    let arrived = places(&faults.alter(&To::All, events([(2, 8), (1, 2)]), always));
    assert_eq!(arrived, [(1, 2), (1, 1)]);
}
