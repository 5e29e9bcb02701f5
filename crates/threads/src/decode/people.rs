//! What is asked of threads between people.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use confab_rpc::{threads as wire, time};
use prost_types::Timestamp;
use uuid::Uuid;

use super::{ATTACHMENTS, attachment, parsed, user, visitor};
use crate::error::Error;
use crate::page::{MESSAGES, at_most};
use crate::people::{EntryKind, NewEntry, Pair, Place, Whose, Window};
use crate::store::people::places::File;
use crate::store::people::tails::Position;
use crate::text::{MESSAGE_BYTES, NAME_BYTES, within, without_nul};
use crate::thread::Kind;

/// The most conversations of a list.
const CONVERSATIONS: u32 = 1000;
/// The most threads or users of a comparison.
const COMPARED: usize = 10_000;
/// The most users whose positions are asked for together.
const POSITIONED: usize = 100;
/// How long a W3C `traceparent` is.
const TRACEPARENT: usize = 55;

/// What sends name: threads by number, files by their entries.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) places: HashMap<i64, Place>,
    pub(crate) files: HashMap<i64, File>,
}

/// A send as an entry to be appended.
pub(crate) fn new_entry(send: wire::Send, named: &Named) -> Result<NewEntry, Error> {
    let kind = sendable(send.kind)?;
    let author = author(&send)?;
    let refers_to = (kind == EntryKind::Announcement).then_some(send.announces);
    let place = match refers_to {
        Some(file) => announced(author, file, named)?,
        None => place(author, send.target, named)?,
    };
    if send.attachments.len() > ATTACHMENTS {
        return Err(Error::Invalid("a message must have at most 10 attachments"));
    }
    if kind == EntryKind::File && send.attachments.is_empty() {
        return Err(Error::Invalid("a file must have an attachment"));
    }
    if send.client_msg_id.contains('\0') {
        return Err(Error::Invalid("client_msg_id must not hold NUL"));
    }
    within(
        &send.client_msg_id,
        NAME_BYTES,
        "client_msg_id must be at most 255 bytes in UTF-8",
    )?;
    let profile_id = match kind {
        EntryKind::Profile => {
            Some(parsed(&send.profile_id).ok_or(Error::Invalid("profile_id must be a UUID"))?)
        }
        _ => None,
    };
    let traceparent = send.traceparent;
    Ok(NewEntry {
        author,
        place,
        kind,
        content: without_nul(
            send.content,
            MESSAGE_BYTES,
            "content must be at most 16 KiB in UTF-8",
        )?,
        attachments: send
            .attachments
            .into_iter()
            .map(attachment)
            .collect::<Result<_, _>>()?,
        profile_id,
        refers_to,
        client_msg_id: Some(send.client_msg_id).filter(|key| !key.is_empty()),
        traceparent: Some(traceparent).filter(|it| it.len() == TRACEPARENT && it.is_ascii()),
    })
}

fn sendable(kind: i32) -> Result<EntryKind, Error> {
    match wire::EntryKind::try_from(kind) {
        Ok(wire::EntryKind::Text) => Ok(EntryKind::Text),
        Ok(wire::EntryKind::File) => Ok(EntryKind::File),
        Ok(wire::EntryKind::Profile) => Ok(EntryKind::Profile),
        Ok(wire::EntryKind::Announcement) => Ok(EntryKind::Announcement),
        _ => Err(Error::Invalid("kind must be one that can be sent")),
    }
}

fn author(send: &wire::Send) -> Result<Uuid, Error> {
    match send.target {
        Some(wire::send::Target::Thread(_)) => visitor(&send.user_id),
        _ => user(&send.user_id),
    }
}

/// Where a file went that the author sent, and its announcement goes.
fn announced(author: Uuid, file: i64, named: &Named) -> Result<Place, Error> {
    let file = named
        .files
        .get(&file)
        .filter(|(sender, _)| *sender == author);
    file.map(|(_, place)| *place).ok_or(Error::MessageNotFound)
}

fn place(author: Uuid, target: Option<wire::send::Target>, named: &Named) -> Result<Place, Error> {
    match target {
        Some(wire::send::Target::ReceiverId(receiver)) => {
            pair(author, &receiver).map(Place::Direct)
        }
        Some(wire::send::Target::Thread(number)) => {
            let place = named.places.get(&number).copied();
            let visible = place.filter(|place| match place {
                Place::Direct(pair) => pair.holds(author),
                Place::Group(_) => true,
            });
            visible.ok_or(Error::ThreadNotFound)
        }
        None => Err(Error::Invalid("a message needs a receiver or a thread")),
    }
}

fn pair(author: Uuid, receiver: &str) -> Result<Pair, Error> {
    let receiver = parsed(receiver).ok_or(Error::ReceiverInvalid)?;
    Pair::of(author, receiver).ok_or(Error::ReceiverInvalid)
}

/// The pair of a direct thread that is looked for. Who is no user has none.
pub(crate) fn sought(user: Uuid, other: &str) -> Result<Pair, Error> {
    pair(user, other).map_err(|_| Error::ThreadNotFound)
}

/// Which kinds of thread are listed, and how many.
pub(crate) fn listed(kinds: &[i32], limit: u32) -> Result<(Vec<Kind>, u32), Error> {
    let kinds = match kinds {
        [] => vec![Kind::Direct, Kind::Group],
        kinds => kinds
            .iter()
            .map(|kind| super::kind(*kind))
            .collect::<Result<_, _>>()?,
    };
    if kinds.contains(&Kind::Assistant) {
        return Err(Error::Invalid("kinds must be of threads between people"));
    }
    Ok((kinds, at_most(limit, CONVERSATIONS)))
}

/// The part of a history that is asked for.
pub(crate) fn whose(user: Uuid, request: &wire::ListHistoryRequest) -> Result<Whose, Error> {
    if request.other_id.is_empty() {
        return Ok(Whose::Thread(request.thread));
    }
    Ok(Whose::Pair(sought(user, &request.other_id)?))
}

pub(crate) fn window(request: &wire::ListHistoryRequest) -> Result<Window, Error> {
    let kinds = match request.kinds.as_slice() {
        [] => EntryKind::MESSAGES.to_vec(),
        kinds => kinds
            .iter()
            .map(|kind| sendable(*kind))
            .collect::<Result<_, _>>()?,
    };
    if !kinds.iter().all(|kind| kind.is_message()) {
        return Err(Error::Invalid("kinds must be of messages"));
    }
    Ok(Window {
        before: optional(request.before_message_id),
        after: optional(request.after_message_id),
        around: optional(request.around_message_id),
        from: point(request.from)?,
        until: point(request.until)?,
        kinds,
        newest: request.newest,
        limit: at_most(request.limit, MESSAGES),
    })
}

/// An id, or 0 for none.
pub(crate) fn optional(id: i64) -> Option<i64> {
    Some(id).filter(|id| *id != 0)
}

pub(crate) fn point(at: Option<Timestamp>) -> Result<Option<DateTime<Utc>>, Error> {
    at.map(|at| time::from_wire(at).ok_or(Error::Invalid("a point in time is out of range")))
        .transpose()
}

/// Users that a gateway asks about.
pub(crate) fn users(ids: &[String]) -> Result<Vec<Uuid>, Error> {
    if ids.len() > POSITIONED {
        return Err(Error::Invalid("at most 100 users are asked about"));
    }
    ids.iter().map(|id| user(id)).collect()
}

/// What a gateway knows: where threads ended, and its users. What is no UUID is nobody and comes into no thread.
pub(crate) fn comparison(
    request: &wire::CompareTailsRequest,
) -> Result<(Vec<Position>, Vec<Uuid>), Error> {
    if request.known.len() > COMPARED || request.users.len() > COMPARED {
        return Err(Error::Invalid(
            "at most 10,000 threads and 10,000 users are compared",
        ));
    }
    let known = request.known.iter().map(|known| (known.thread, known.seq));
    let users = request.users.iter().filter_map(|user| parsed(user));
    Ok((known.collect(), users.collect()))
}
