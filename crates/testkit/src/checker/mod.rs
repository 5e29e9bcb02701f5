//! Judges a history: what was promised to clients, as invariants over what they saw and what the tables hold.
//!
//! A pure function that knows nothing of sockets. The invariants do not overlap: one fault turns one of them red, which
//! the tests of this module show for each. The history must have come to rest: every client is connected and has been
//! sent all there was.
//!
//! What no client sees is judged beside that, from what was read elsewhere: [`bounds`] of processes, [`liveness`] and
//! [`money`].

mod agreement;
pub mod bounds;
mod delivery;
pub mod liveness;
pub mod money;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::history::{Event, Lineage, Message, Story, What};

/// How long a revocation may take.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: what was acknowledged is stored, and every member whose lineage was there when it was sent has seen it.
    NoLoss,
    /// I2: no lineage sees a place of a thread twice.
    Once,
    /// I3: a lineage sees a thread in its order, without a silent hole.
    Order,
    /// I4: everybody, the history and the tables agree on what stands in a place.
    Agreement,
    /// I5: what arrives was sent, by that user; what was refused never arrives.
    NothingInvented,
    /// I6: nothing reaches who is no member at that place, or was revoked a second ago.
    Outsiders,
    /// I7: a send makes at most one message however often it is repeated, and its answers agree.
    UnknownSends,
    /// I8: what one connection sends is stored in the order of its sends.
    SenderFifo,
    /// I9: a history that is read after an acknowledgement holds the message.
    ReadYourWrites,
    /// I10: no process panics or reports an error that the fault does not explain, and what one had grown by is given back.
    Bounds,
    /// I11: once the fault is over, all works again in time.
    Liveness,
    /// I12: a run ends once and is charged for once, and what users have is what the ledger says.
    Money,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NoLoss,
        Self::Once,
        Self::Order,
        Self::Agreement,
        Self::NothingInvented,
        Self::Outsiders,
        Self::UnknownSends,
        Self::SenderFifo,
        Self::ReadYourWrites,
        Self::Bounds,
        Self::Liveness,
        Self::Money,
    ];
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// By what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// What the tables hold at the end.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Every message of the threads in question, in any order.
    pub messages: Vec<Message>,
    /// Who was a member of a thread, and after which place of it; 0 is from the start.
    pub members: BTreeMap<(i64, Uuid), i64>,
}

impl Table {
    /// Whether a user was a member when this place was taken.
    fn admits(&self, user: Uuid, thread: i64, seq: i64) -> bool {
        let after = self.members.get(&(thread, user));
        after.is_some_and(|after| seq > *after)
    }
}

/// All broken promises; none when all is well.
#[must_use]
pub fn check(story: &Story, table: &Table) -> Vec<Violation> {
    let case = Case::new(story, table);
    let mut found = BTreeSet::new();
    delivery::check(&case, &mut found);
    agreement::check(&case, &mut found);
    sending::check(&case, &mut found);
    found.into_iter().collect()
}

/// A place in the order: thread and seq.
type Place = (i64, i64);

/// A send: its user and its `client_msg_id`.
type Send<'a> = (Uuid, &'a str);

/// A history, indexed for the questions that are asked of it.
struct Case<'a> {
    story: &'a Story,
    table: &'a Table,
    /// The stored message of each place.
    stored: BTreeMap<Place, &'a Message>,
    /// Who invoked a send with this body, and its key.
    invoked: BTreeMap<(Uuid, &'a str), &'a str>,
    /// Every acknowledgement of each send.
    acked: BTreeMap<Send<'a>, Vec<&'a Message>>,
    /// Where what was acknowledged stands.
    places: BTreeSet<Place>,
    /// How often each send was tried, and when last.
    tries: BTreeMap<Send<'a>, (usize, Duration)>,
    /// The events of each lineage, in order.
    lineages: Vec<Vec<&'a Event>>,
}

impl<'a> Case<'a> {
    fn new(story: &'a Story, table: &'a Table) -> Self {
        let stored = table.messages.iter();
        let mut case = Self {
            story,
            table,
            stored: stored.map(|m| ((m.thread, m.seq), m)).collect(),
            invoked: BTreeMap::new(),
            acked: BTreeMap::new(),
            places: BTreeSet::new(),
            tries: BTreeMap::new(),
            lineages: vec![Vec::new(); story.users.len()],
        };
        for event in &story.events {
            let user = case.user(event.lineage);
            case.lineages[event.lineage.0].push(event);
            match &event.what {
                What::Invoke { key, body } => {
                    case.invoked.insert((user, body), key);
                    let tries = case.tries.entry((user, key)).or_default();
                    *tries = (tries.0 + 1, event.at.max(tries.1));
                }
                What::Ack { key, message } => {
                    case.acked.entry((user, key)).or_default().push(message);
                    case.places.insert((message.thread, message.seq));
                }
                _ => {}
            }
        }
        case
    }

    fn user(&self, lineage: Lineage) -> Uuid {
        self.story.users[lineage.0]
    }

    /// Each lineage with its events, in order.
    fn lineages(&self) -> impl Iterator<Item = (Lineage, &[&'a Event])> {
        let lineages = self.lineages.iter().enumerate();
        lineages.map(|(index, events)| (Lineage(index), events.as_slice()))
    }
}

fn report(found: &mut BTreeSet<Violation>, invariant: Invariant, what: String) {
    found.insert(Violation { invariant, what });
}
