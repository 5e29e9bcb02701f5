//! What became of sends: each at most once, in the order of its connection, and there for who reads afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Invariant, Violation, report};
use crate::history::{Event, Lineage, Message, What};

pub(super) fn check(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    at_most_once(case, found);
    for (lineage, events) in case.lineages() {
        first_in_first_stored(case, lineage, &events, found);
        reads_its_writes(case, lineage, &events, found);
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
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &case.story.events {
        if let What::Invoke { key, .. } = &event.what
            && case.user(event.lineage) == user
        {
            *times.entry(key).or_default() += 1;
        }
    }
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::Connect | What::Resume => last.clear(),
            What::Invoke { key, .. } if times.get(key.as_str()) == Some(&1) => {
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

fn reads_its_writes(
    case: &Case<'_>,
    lineage: Lineage,
    events: &[&Event],
    found: &mut BTreeSet<Violation>,
) {
    for read in events {
        let What::Read {
            thread,
            asked,
            messages,
        } = &read.what
        else {
            continue;
        };
        for event in events.iter().filter(|event| event.at < *asked) {
            let What::Ack { key, message } = &event.what else {
                continue;
            };
            let stored = case.stored.contains_key(&(message.thread, message.seq));
            let there = messages.iter().any(|read| read.seq == message.seq);
            if message.thread == *thread && stored && !there {
                let what =
                    format!("{lineage:?} read {thread} after the answer to {key}, without it");
                report(found, Invariant::ReadYourWrites, what);
            }
        }
    }
}
