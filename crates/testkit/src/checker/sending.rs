//! What became of sends: each at most once, in the order of its connection, and there for who reads afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Case, Invariant, Violation, report};
use crate::history::{Event, Lineage, Message, What};

pub(super) fn check(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    at_most_once(case, found);
    for (lineage, events) in case.lineages() {
        first_in_first_stored(case, lineage, events, found);
        reads_its_writes(case, lineage, events, found);
    }
}

fn at_most_once(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    let mut stored: BTreeMap<_, usize> = BTreeMap::new();
    for message in &case.table.messages {
        *stored.entry((message.sender, &message.body)).or_default() += 1;
    }
    for ((sender, body), count) in stored {
        if count > 1 {
            let what = format!("{body:?} of {sender} is stored {count} times");
            report(found, Invariant::UnknownSends, what);
        }
    }
    for ((user, key), answers) in &case.acked {
        let places: BTreeSet<_> = answers.iter().map(|m| (m.thread, m.seq, m.id)).collect();
        if places.len() > 1 {
            let what = format!("{key} of {user} was answered with {places:?}");
            report(found, Invariant::UnknownSends, what);
        }
    }
}

/// The order of one connection's sends, repeated ones aside: their place is that of an earlier connection.
fn first_in_first_stored(
    case: &Case<'_>,
    lineage: Lineage,
    events: &[&Event],
    found: &mut BTreeSet<Violation>,
) {
    let user = case.user(lineage);
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::Connect | What::Resume => last.clear(),
            What::Invoke { key, .. } => {
                let tries = case.tries.get(&(user, key.as_str()));
                if tries.is_none_or(|tries| tries.0 != 1) {
                    continue;
                }
                let answers = case.acked.get(&(user, key.as_str()));
                let Some(Message { thread, seq, .. }) = answers.and_then(|all| all.first()) else {
                    continue;
                };
                let before = last.insert(*thread, *seq);
                if before.is_some_and(|before| before > *seq) {
                    let what = format!("{lineage:?} sent {key} later, and it is {seq} of {thread}");
                    report(found, Invariant::SenderFifo, what);
                }
            }
            _ => {}
        }
    }
}

/// A history that is long shows its newest part: what was answered must be there unless all that is shown is newer.
fn reads_its_writes(
    case: &Case<'_>,
    lineage: Lineage,
    events: &[&Event],
    found: &mut BTreeSet<Violation>,
) {
    // What this lineage was answered, by thread: when, its place, its key.
    let mut answered: BTreeMap<i64, Vec<(Duration, i64, &str)>> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::Ack { key, message } => {
                let mine = answered.entry(message.thread).or_default();
                mine.push((event.at, message.seq, key));
            }
            What::Read {
                thread,
                asked,
                messages,
            } => {
                let read: BTreeSet<i64> = messages.iter().map(|message| message.seq).collect();
                let oldest = read.first().copied().unwrap_or_default();
                let mine = answered.get(thread).into_iter().flatten();
                for (at, seq, key) in mine {
                    let due = at < asked && *seq >= oldest && !read.contains(seq);
                    if due && case.stored.contains_key(&(*thread, *seq)) {
                        let what = format!(
                            "{lineage:?} read {thread} after the answer to {key}, without it"
                        );
                        report(found, Invariant::ReadYourWrites, what);
                    }
                }
            }
            _ => {}
        }
    }
}
