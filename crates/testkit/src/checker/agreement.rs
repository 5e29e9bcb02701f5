//! Whether everybody saw the same, and only what was said.

use std::collections::BTreeSet;

use super::{Case, Invariant, Violation, report};
use crate::history::{Message, What};

pub(super) fn check(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    for event in &case.story.events {
        match &event.what {
            // What was acknowledged and is not there is a loss, and said as such.
            What::Deliver(message)
                if was_sent(case, message, found)
                    && (is_stored(case, message) || !is_acknowledged(case, message)) =>
            {
                agrees(case, message, found);
            }
            What::Ack { message, .. } if is_stored(case, message) => agrees(case, message, found),
            What::Read { messages, .. } => {
                for message in messages {
                    agrees(case, message, found);
                }
            }
            _ => {}
        }
    }
    for message in &case.table.messages {
        was_sent(case, message, found);
    }
    places_are_taken_once(case, found);
    refused_never_appears(case, found);
}

fn is_stored(case: &Case<'_>, message: &Message) -> bool {
    case.stored.contains_key(&(message.thread, message.seq))
}

fn is_acknowledged(case: &Case<'_>, message: &Message) -> bool {
    let mut acked = case.acked.values().flatten();
    acked.any(|acked| *acked == message)
}

fn agrees(case: &Case<'_>, message: &Message, found: &mut BTreeSet<Violation>) {
    let stored = case.stored.get(&(message.thread, message.seq));
    if stored != Some(&message) {
        let what = format!("{message:?} was seen where {stored:?} is stored");
        report(found, Invariant::Agreement, what);
    }
}

fn was_sent(case: &Case<'_>, message: &Message, found: &mut BTreeSet<Violation>) -> bool {
    let sent = (message.sender, message.body.as_str());
    let was_sent = case.invoked.contains_key(&sent);
    if !was_sent {
        let what = format!("{message:?} was never sent");
        report(found, Invariant::NothingInvented, what);
    }
    was_sent
}

fn places_are_taken_once(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    let mut ids = BTreeSet::new();
    for message in &case.table.messages {
        let place = (message.thread, message.seq);
        if case.stored.get(&place) != Some(&message) || !ids.insert(message.id) {
            let what = format!("{message:?} shares its place or its id with another");
            report(found, Invariant::Agreement, what);
        }
    }
}

fn refused_never_appears(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    let seen = case
        .story
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Deliver(message) => Some(message),
            _ => None,
        });
    let said: BTreeSet<_> = seen
        .chain(&case.table.messages)
        .filter_map(|m| {
            case.invoked
                .get(&(m.sender, &m.body))
                .map(|key| (m.sender, *key))
        })
        .collect();
    for event in &case.story.events {
        let What::Fail { key } = &event.what else {
            continue;
        };
        let send = (case.user(event.lineage), key.as_str());
        // A repeat that was refused says nothing about an original that was stored.
        if said.contains(&send) && !case.acked.contains_key(&send) {
            let what = format!("{key} was refused and appeared");
            report(found, Invariant::NothingInvented, what);
        }
    }
}
