//! What a socket missed: from the positions its client names to where live delivery takes over.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use confab_rpc::Fault;
use confab_rpc::threads::{
    Entry, GetEntryRequest, ListConversationsRequest, ListHistoryRequest, Position, ReadLogRequest,
};
use tokio::time::sleep;

use super::Live;
use super::seat::Place;
use crate::socket::Frame;

/// Positions that one client may name; a client has no more threads on its screen.
const POSITIONS: usize = 1000;

/// Time between attempts while the log or the profiles cannot be read.
const PAUSE: Duration = Duration::from_millis(500);

/// From where a client goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resume {
    /// Thread → the last `seq` that was seen.
    positions: BTreeMap<i64, i64>,
    /// The newest message that was seen, of any thread.
    since: Option<i64>,
}

impl Resume {
    /// `?resume=<thread>:<seq>,…` and `?since=<message id>`. What cannot be read is left out: a client without a position
    /// reads the history.
    pub(crate) fn parse(query: &str) -> Self {
        let mut resume = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "resume" => {
                    let pairs = value.split(',').filter_map(|it| it.split_once(':'));
                    let number = |text: &str| text.trim().parse::<i64>().ok();
                    let pairs = pairs.filter_map(|(it, seq)| Some((number(it)?, number(seq)?)));
                    resume.positions.extend(pairs.take(POSITIONS));
                }
                "since" => resume.since = value.trim().parse().ok(),
                _ => {}
            }
        }
        resume
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.since.is_none()
    }
}

/// Puts everything the socket missed into its queue, thread by thread and in order, then lets live entries through. What
/// happens meanwhile is read, too. Ends when the socket does.
pub(super) async fn run(live: Live, place: Weak<Place>, resume: Resume, members: Vec<Position>) {
    let Some(user) = place.upgrade().map(|place| place.user.clone()) else {
        return;
    };
    let replay = Replay { live, place, user };
    let mut done = replay.begin(resume, &members).await;
    let mut wanted: Vec<i64> = done.keys().copied().collect();
    loop {
        for thread in wanted {
            let Some(seq) = done.get_mut(&thread) else {
                continue;
            };
            if !replay.thread(thread, seq).await {
                return;
            }
        }
        let Some(place) = replay.place.upgrade() else {
            return;
        };
        let Some(moved) = place.caught_up(&done) else {
            return;
        };
        wanted = Vec::new();
        for (thread, span) in moved {
            let seq = done.entry(thread).or_insert(span.first - 1);
            if *seq < span.last {
                wanted.push(thread);
            }
        }
    }
}

struct Replay {
    live: Live,
    place: Weak<Place>,
    user: String,
}

impl Replay {
    /// From where each thread is replayed. Threads that are not the user's are left out like ones that do not exist.
    async fn begin(&self, resume: Resume, members: &[Position]) -> HashMap<i64, i64> {
        let ends: HashMap<i64, i64> = members.iter().map(|it| (it.thread, it.seq)).collect();
        let mut done: HashMap<i64, i64> = HashMap::new();
        if let Some(message) = resume.since {
            match self.since(message).await {
                Ok(found) => done.extend(found),
                Err(fault) => tracing::debug!(%fault, "there is nothing to go on from"),
            }
        }
        done.extend(resume.positions);
        // A position beyond the end, as after a restored backup, counts as the end.
        let within = |(thread, seq): (i64, i64)| Some((thread, seq.clamp(0, *ends.get(&thread)?)));
        done.into_iter().filter_map(within).collect()
    }

    /// Where the user's threads were when this message was the newest that the client had.
    async fn since(&self, message: i64) -> Result<HashMap<i64, i64>, Fault> {
        let mut people = self.live.0.backends.people();
        let request = GetEntryRequest {
            user_id: self.user.clone(),
            message_id: message,
        };
        let seen = people.get_entry(request).await?.into_inner();
        let mut found = HashMap::from([(seen.thread, seen.seq)]);
        let request = ListConversationsRequest {
            user_id: self.user.clone(),
            ..Default::default()
        };
        let conversations = people.list_conversations(request).await?.into_inner();
        for conversation in conversations.conversations {
            let newest = conversation.last_message.map_or(0, |newest| newest.id);
            let number = conversation.number;
            if newest > message && number != seen.thread {
                found.insert(number, self.last_seen(number, message).await?);
            }
        }
        Ok(found)
    }

    /// The `seq` before the first message of a thread that is newer than `message`.
    async fn last_seen(&self, thread: i64, message: i64) -> Result<i64, Fault> {
        let mut people = self.live.0.backends.people();
        let mut before_message_id = 0;
        let mut first = i64::MAX;
        loop {
            let request = ListHistoryRequest {
                user_id: self.user.clone(),
                thread,
                before_message_id,
                newest: true,
                ..Default::default()
            };
            let page = people.list_history(request).await?.into_inner();
            let newer = page.entries.iter().filter(|entry| entry.id > message);
            first = newer.map(|entry| entry.seq).fold(first, i64::min);
            match page.entries.first() {
                Some(oldest) if page.more && oldest.id > message => before_message_id = oldest.id,
                _ => return Ok(first.saturating_sub(1)),
            }
        }
    }

    /// Replays a thread to its end. Says whether the socket is still there.
    async fn thread(&self, thread: i64, seq: &mut i64) -> bool {
        loop {
            let Some(place) = self.place.upgrade() else {
                return false;
            };
            let request = ReadLogRequest {
                thread,
                after_seq: *seq,
            };
            let page = match self.live.0.backends.people().read_log(request).await {
                Ok(page) => page.into_inner(),
                Err(status) => {
                    let fault = Fault::from(status);
                    tracing::warn!(%fault, "what a socket missed cannot be read");
                    drop(place);
                    sleep(PAUSE).await;
                    continue;
                }
            };
            for entry in &page.entries {
                self.entry(&place, entry).await;
                *seq = entry.seq;
            }
            if !page.more || page.entries.is_empty() {
                return true;
            }
        }
    }

    async fn entry(&self, place: &Arc<Place>, entry: &Entry) {
        let needs = place.announcer.needs(entry);
        let known = loop {
            match self.live.people().profiles(&needs).await {
                Ok(known) => break known,
                Err(_) => sleep(PAUSE).await,
            }
        };
        let shown = place.announcer.announce(entry, &known);
        let frame = if entry.author_id == place.user {
            shown.to_author
        } else {
            shown.to_others
        };
        if let Some(frame) = frame {
            place.queue.has_room().await;
            place.queue.push(Frame::Text(frame));
        }
    }
}
