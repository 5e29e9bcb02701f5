//! What reached each lineage: nothing lost, nothing twice, in order, and nothing that was not for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Invariant, Place, REVOKED_WITHIN, Violation, report};
use crate::history::{Event, Lineage, Message, What};

pub(super) fn check(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    acknowledged_is_stored(case, found);
    for (lineage, events) in case.lineages() {
        let seen = in_order(case, lineage, events, found);
        nothing_lost(case, lineage, events, &seen, found);
        not_for_outsiders(case, lineage, events, found);
    }
}

fn acknowledged_is_stored(case: &Case<'_>, found: &mut BTreeSet<Violation>) {
    for ((user, key), messages) in &case.acked {
        for message in messages {
            if !case.stored.contains_key(&(message.thread, message.seq)) {
                let what =
                    format!("{key} of {user} was acknowledged and is not stored: {message:?}");
                report(found, Invariant::NoLoss, what);
            }
        }
    }
}

/// Looks at the order of one lineage's deliveries; gives the places it has seen.
fn in_order(
    case: &Case<'_>,
    lineage: Lineage,
    events: &[&Event],
    found: &mut BTreeSet<Violation>,
) -> BTreeSet<Place> {
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for event in events {
        let message = match &event.what {
            What::Deliver(message) => message,
            What::Reset { thread } => {
                last.remove(thread);
                seen.retain(|(of, _)| of != thread);
                continue;
            }
            _ => continue,
        };
        let Message { thread, seq, .. } = *message;
        if !seen.insert((thread, seq)) {
            let what = format!("{lineage:?} saw {seq} of {thread} twice");
            report(found, Invariant::Once, what);
            continue;
        }
        if let Some(before) = last.get(&thread).filter(|before| seq < **before) {
            let what = format!("{lineage:?} saw {seq} of {thread} after {before}");
            report(found, Invariant::Order, what);
            continue;
        }
        last.insert(thread, seq);
    }
    silent_holes(case, lineage, &seen, found);
    seen
}

/// Places between those seen that were never filled; one that was acknowledged is a loss and said as such.
fn silent_holes(
    case: &Case<'_>,
    lineage: Lineage,
    seen: &BTreeSet<Place>,
    found: &mut BTreeSet<Violation>,
) {
    for (thread, seq) in case.stored.keys().copied() {
        let place = (thread, seq);
        let before = seen.range((thread, i64::MIN)..place).next().is_some();
        let after = seen.range(place..=(thread, i64::MAX)).next().is_some();
        if before && after && !seen.contains(&place) && !case.places.contains(&place) {
            let what = format!("{lineage:?} was never sent {seq} of {thread}, and later ones were");
            report(found, Invariant::Order, what);
        }
    }
}

/// Every acknowledged message that was sent after the lineage began, or lies after what it has seen, has reached it.
fn nothing_lost(
    case: &Case<'_>,
    lineage: Lineage,
    events: &[&Event],
    seen: &BTreeSet<Place>,
    found: &mut BTreeSet<Violation>,
) {
    let revoked = events.iter().any(|event| event.what == What::Revoke);
    let began = events.iter().find(|event| event.what == What::Connect);
    let Some(began) = began.filter(|_| !revoked) else {
        return;
    };
    let user = case.user(lineage);
    for (send, messages) in &case.acked {
        for message in messages {
            let place = (message.thread, message.seq);
            let first = seen.range((message.thread, i64::MIN)..).next();
            let after_first =
                first.is_some_and(|first| first.0 == message.thread && *first < place);
            let tried_later = case.tries.get(send).is_some_and(|tries| tries.1 > began.at);
            let due = tried_later || after_first;
            let stored = case.stored.contains_key(&place);
            let admitted = case.table.admits(user, message.thread, message.seq);
            if due && stored && admitted && !seen.contains(&place) {
                let what = format!(
                    "{lineage:?} never saw {} of {}",
                    message.seq, message.thread
                );
                report(found, Invariant::NoLoss, what);
            }
        }
    }
}

fn not_for_outsiders(
    case: &Case<'_>,
    lineage: Lineage,
    events: &[&Event],
    found: &mut BTreeSet<Violation>,
) {
    let user = case.user(lineage);
    let revoked = events.iter().find(|event| event.what == What::Revoke);
    let too_late = revoked.map(|event| event.at + REVOKED_WITHIN);
    for event in events {
        let messages = match &event.what {
            What::Deliver(message) => std::slice::from_ref(message),
            // A member reads what was said before it came; an outsider reads nothing.
            What::Read {
                thread, messages, ..
            } if !case.table.members.contains_key(&(*thread, user)) => messages,
            _ => continue,
        };
        let late = too_late.is_some_and(|late| event.at > late);
        for message in messages {
            if late || !case.table.admits(user, message.thread, message.seq) {
                let what = format!(
                    "{lineage:?} of {user} saw {} of {}",
                    message.seq, message.thread
                );
                report(found, Invariant::Outsiders, what);
            }
        }
    }
}
