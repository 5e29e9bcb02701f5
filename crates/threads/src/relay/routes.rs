//! Which gateways an entry goes to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use confab_delivery::{GatewayId, To};
use confab_rpc::delivery::Events;
use confab_rpc::threads::{Entry, ThreadKind};
use uuid::Uuid;

/// Beyond this many gateways an entry goes to all: one message for all costs less than one for each.
const FEW: usize = 8;

/// Where users are, as far as that is known.
pub(super) type Known = HashMap<Uuid, Vec<GatewayId>>;

/// The two people of a direct thread. Nobody is named for a group, which may be anywhere.
pub(super) fn audience(entry: &Entry) -> Option<[Uuid; 2]> {
    if entry.thread_kind() != ThreadKind::Direct {
        return None;
    }
    let author = entry.author_id.parse().ok()?;
    let receiver = entry.receiver_id.parse().ok()?;
    Some([author, receiver])
}

/// One message for each gateway, and one for all where it is not known who needs it. Entries keep their order in each.
pub(super) fn group(entries: Vec<Entry>, known: &Known) -> Vec<(To, Events)> {
    let mut all = Vec::new();
    let mut each: BTreeMap<GatewayId, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let Some(gateways) = gateways(&entry, known) else {
            all.push(entry);
            continue;
        };
        for gateway in gateways {
            each.entry(gateway).or_default().push(entry.clone());
        }
    }
    let mut messages: Vec<_> = each
        .into_iter()
        .map(|(gateway, entries)| (To::Gateways(vec![gateway]), Events { entries }))
        .collect();
    if !all.is_empty() {
        messages.push((To::All, Events { entries: all }));
    }
    messages
}

/// Those that hold sockets of an entry's readers. `None`: too many, or one of the readers may be anywhere.
fn gateways(entry: &Entry, known: &Known) -> Option<BTreeSet<GatewayId>> {
    let mut gateways = BTreeSet::new();
    for user in audience(entry)? {
        let of_user = known.get(&user).filter(|gateways| !gateways.is_empty())?;
        gateways.extend(of_user);
    }
    (gateways.len() <= FEW).then_some(gateways)
}
