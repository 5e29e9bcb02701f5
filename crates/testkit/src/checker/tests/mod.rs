//! The checker itself: a clean history is clean, and each broken promise turns its own invariant red and no other.

mod books;
mod processes;

use std::time::Duration;

use uuid::Uuid;

use super::{Invariant, Table, check};
use crate::history::{Event, Lineage, Message, Story, What};

const THREAD: i64 = 7;
const ALICE: Uuid = Uuid::from_u128(1);
const BOB: Uuid = Uuid::from_u128(2);
const MALLORY: Uuid = Uuid::from_u128(3);
/// Two lineages of members and one of an outsider.
const A: Lineage = Lineage(0);
const B: Lineage = Lineage(1);
const M: Lineage = Lineage(2);

fn message(seq: i64, sender: Uuid, key: &str) -> Message {
    Message {
        thread: THREAD,
        seq,
        id: 100 + seq,
        sender,
        body: format!("says {key}"),
        at_micros: 1_000 + seq,
    }
}

fn invoke(key: &str) -> What {
    What::Invoke {
        key: key.to_owned(),
        body: format!("says {key}"),
    }
}

fn ack(seq: i64, sender: Uuid, key: &str) -> What {
    What::Ack {
        key: key.to_owned(),
        message: message(seq, sender, key),
    }
}

fn unknown(key: &str) -> What {
    What::Unknown {
        key: key.to_owned(),
    }
}

fn deliver(seq: i64, sender: Uuid, key: &str) -> What {
    What::Deliver(message(seq, sender, key))
}

/// Three messages: two of Alice, one of Bob; Bob's outcome was unknown until he sent it again after resuming.
fn clean() -> (Vec<(Lineage, What)>, Table) {
    let lines = vec![
        (A, What::Connect),
        (B, What::Connect),
        (M, What::Connect),
        (A, invoke("one")),
        (A, ack(1, ALICE, "one")),
        (A, deliver(1, ALICE, "one")),
        (B, deliver(1, ALICE, "one")),
        (B, invoke("two")),
        (B, What::Close),
        (B, unknown("two")),
        (A, deliver(2, BOB, "two")),
        (B, What::Resume),
        (B, deliver(2, BOB, "two")),
        (B, invoke("two")),
        (B, ack(2, BOB, "two")),
        (A, invoke("three")),
        (A, ack(3, ALICE, "three")),
        (A, deliver(3, ALICE, "three")),
        (B, deliver(3, ALICE, "three")),
    ];
    let table = Table {
        messages: vec![
            message(1, ALICE, "one"),
            message(2, BOB, "two"),
            message(3, ALICE, "three"),
        ],
        members: [((THREAD, ALICE), 0), ((THREAD, BOB), 0)].into(),
    };
    (lines, table)
}

/// The invariants that a history breaks; a second lies between two lines.
fn broken(lines: Vec<(Lineage, What)>, table: &Table) -> Vec<Invariant> {
    let events = lines.into_iter().enumerate();
    let story = Story {
        users: vec![ALICE, BOB, MALLORY],
        events: events
            .map(|(index, (lineage, what))| Event {
                at: second(index),
                lineage,
                what,
            })
            .collect(),
    };
    let mut invariants: Vec<_> = check(&story, table)
        .into_iter()
        .map(|violation| violation.invariant)
        .collect();
    invariants.dedup();
    invariants
}

fn second(index: usize) -> Duration {
    Duration::from_secs(index as u64)
}

fn position(lines: &[(Lineage, What)], lineage: Lineage, what: &What) -> usize {
    let found = lines
        .iter()
        .position(|line| line.0 == lineage && line.1 == *what);
    found.expect("the clean history has this line")
}

#[test]
fn a_clean_history_breaks_nothing() {
    let (lines, table) = clean();
    assert_eq!(broken(lines, &table), []);
}

#[test]
fn a_message_that_never_came_is_a_loss_wherever_it_stood() {
    for (seq, sender, key) in [(1, ALICE, "one"), (3, ALICE, "three")] {
        let (mut lines, table) = clean();
        let at = position(&lines, B, &deliver(seq, sender, key));
        lines.remove(at);
        assert_eq!(broken(lines, &table), [Invariant::NoLoss], "{key}");
    }
}

#[test]
fn an_acknowledgement_before_the_commit_is_a_loss() {
    let (mut lines, table) = clean();
    lines.push((A, invoke("four")));
    lines.push((A, ack(4, ALICE, "four")));
    assert_eq!(broken(lines.clone(), &table), [Invariant::NoLoss]);
    // Whoever was told of it saw what was lost.
    lines.push((B, deliver(4, ALICE, "four")));
    assert_eq!(broken(lines, &table), [Invariant::NoLoss]);
}

#[test]
fn a_repeated_delivery_is_seen() {
    let (mut lines, table) = clean();
    lines.push((B, deliver(1, ALICE, "one")));
    assert_eq!(broken(lines, &table), [Invariant::Once]);
}

#[test]
fn a_repeated_delivery_after_a_resume_is_seen() {
    let (mut lines, table) = clean();
    let at = position(&lines, B, &What::Resume);
    lines.insert(at + 1, (B, deliver(1, ALICE, "one")));
    assert_eq!(broken(lines, &table), [Invariant::Once]);
}

#[test]
fn swapped_deliveries_are_out_of_order() {
    let (mut lines, table) = clean();
    let two = position(&lines, A, &deliver(2, BOB, "two"));
    let line = lines.remove(two);
    lines.push(line);
    assert_eq!(broken(lines, &table), [Invariant::Order]);
}

#[test]
fn a_hole_where_nothing_was_acknowledged_is_out_of_order() {
    let (mut lines, table) = clean();
    let acked = position(&lines, B, &ack(2, BOB, "two"));
    lines.remove(acked);
    let two = position(&lines, A, &deliver(2, BOB, "two"));
    lines.remove(two);
    assert_eq!(broken(lines, &table), [Invariant::Order]);
}

#[test]
fn another_time_in_one_place_is_a_disagreement() {
    let (mut lines, table) = clean();
    let at = position(&lines, B, &deliver(3, ALICE, "three"));
    let mut other = message(3, ALICE, "three");
    other.at_micros += 1;
    lines[at].1 = What::Deliver(other);
    assert_eq!(broken(lines, &table), [Invariant::Agreement]);
}

#[test]
fn a_history_that_differs_is_a_disagreement() {
    let (mut lines, table) = clean();
    let asked = second(lines.len());
    let mut messages = table.messages.clone();
    messages[1].id += 1;
    let thread = THREAD;
    let read = What::Read {
        thread,
        asked,
        messages,
    };
    lines.push((A, read));
    assert_eq!(broken(lines, &table), [Invariant::Agreement]);
}

#[test]
fn what_nobody_sent_is_invented() {
    let (mut lines, mut table) = clean();
    table.messages.push(message(4, BOB, "never sent"));
    for lineage in [A, B] {
        lines.push((lineage, deliver(4, BOB, "never sent")));
    }
    assert_eq!(broken(lines, &table), [Invariant::NothingInvented]);
}

#[test]
fn a_refused_send_that_appears_is_invented() {
    let (mut lines, mut table) = clean();
    table.messages.push(message(4, ALICE, "refused"));
    lines.push((A, invoke("refused")));
    let key = "refused".to_owned();
    lines.push((A, What::Fail { key }));
    assert_eq!(broken(lines, &table), [Invariant::NothingInvented]);
}

#[test]
fn what_reaches_an_outsider_is_seen() {
    let (mut lines, table) = clean();
    lines.push((M, deliver(3, ALICE, "three")));
    assert_eq!(broken(lines, &table), [Invariant::Outsiders]);
}

#[test]
fn what_an_outsider_reads_is_seen() {
    let (mut lines, table) = clean();
    let read = What::Read {
        thread: THREAD,
        asked: second(lines.len()),
        messages: table.messages.clone(),
    };
    lines.push((M, read));
    assert_eq!(broken(lines, &table), [Invariant::Outsiders]);
}

#[test]
fn what_reaches_somebody_before_joining_is_seen() {
    let (lines, mut table) = clean();
    table.members.insert((THREAD, BOB), 1);
    assert_eq!(broken(lines, &table), [Invariant::Outsiders]);
}

#[test]
fn what_reaches_a_revoked_user_is_seen() {
    let (mut lines, table) = clean();
    let last = lines.pop().expect("the last line");
    lines.push((B, What::Revoke));
    lines.push((A, What::Close));
    lines.push(last);
    assert_eq!(broken(lines, &table), [Invariant::Outsiders]);
}

#[test]
fn a_send_that_is_stored_twice_is_seen() {
    let (mut lines, mut table) = clean();
    table.messages.push(message(4, BOB, "two"));
    for lineage in [A, B] {
        lines.push((lineage, deliver(4, BOB, "two")));
    }
    assert_eq!(broken(lines, &table), [Invariant::UnknownSends]);
}

#[test]
fn a_repeat_that_is_answered_otherwise_is_seen() {
    let (mut lines, mut table) = clean();
    let mut again = message(4, BOB, "other two");
    table.messages.push(again.clone());
    lines.push((B, invoke("other two")));
    for lineage in [A, B] {
        lines.push((lineage, What::Deliver(again.clone())));
    }
    again.body = "says other two".to_owned();
    let key = "two".to_owned();
    let message = again;
    lines.push((B, What::Ack { key, message }));
    assert_eq!(broken(lines, &table), [Invariant::UnknownSends]);
}

#[test]
fn sends_that_overtake_each_other_are_seen() {
    let (mut lines, mut table) = clean();
    let (four, five) = (message(4, ALICE, "five"), message(5, ALICE, "four"));
    table.messages.extend([four.clone(), five.clone()]);
    lines.push((A, invoke("four")));
    lines.push((A, invoke("five")));
    lines.push((A, ack(4, ALICE, "five")));
    lines.push((A, ack(5, ALICE, "four")));
    for lineage in [A, B] {
        lines.push((lineage, What::Deliver(four.clone())));
        lines.push((lineage, What::Deliver(five.clone())));
    }
    assert_eq!(broken(lines, &table), [Invariant::SenderFifo]);
}

#[test]
fn a_history_without_what_was_acknowledged_is_seen() {
    let (mut lines, table) = clean();
    let read = What::Read {
        thread: THREAD,
        asked: second(lines.len()),
        messages: table.messages[..2].to_vec(),
    };
    lines.push((A, read));
    assert_eq!(broken(lines, &table), [Invariant::ReadYourWrites]);
}
