//! Somebody who talks and listens at one socket after another whatever happens, and writes down what they see.
//!
//! A walker comes back where it was, sends what it has no answer to again with the same key, and now and then reads what
//! it said through another gateway. It never gives up: a [`Conductor`] says when it may be silent and go home.

mod conductor;
mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use uuid::Uuid;

use crate::history::{Message, Recorder, What};
use crate::people::{Dialect, From, Person, Positions, open};
use crate::{Received, Rest, Socket, direct, groups};
use conductor::Phase;
pub use conductor::{Conductor, Tally};

/// How often a walker looks whether its socket or an answer is overdue.
const WATCH: Duration = Duration::from_millis(100);

/// Where somebody's messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To another user.
    User(Uuid),
    /// Into a chat.
    Chat(i64),
    /// Nowhere: they only listen.
    Nobody,
}

/// How somebody behaves.
#[derive(Debug, Clone)]
pub struct Habits {
    /// How many things they say; none: they go on until they are hushed.
    pub sends: Option<usize>,
    /// The least time between two of them.
    pub pace: Duration,
    /// When they begin, so that not all of many speak at once.
    pub after: Duration,
    /// How many sends may be without an answer at a time.
    pub window: usize,
    /// One in so many acknowledged sends is read back; 0: none is.
    pub read_every: usize,
    /// The longest that a socket may be silent, pings included, and that opening one may take, before it is left.
    pub patience: Duration,
    /// How long an answer may take before it is taken to be lost.
    pub answer_within: Duration,
    /// The least time between two attempts of the same thing.
    pub retry: Duration,
}

impl Default for Habits {
    /// Of somebody in a hurry.
    fn default() -> Self {
        Self {
            sends: None,
            pace: Duration::from_millis(5),
            after: Duration::ZERO,
            window: 1,
            read_every: 1,
            patience: Duration::from_mins(1),
            answer_within: Duration::from_secs(10),
            retry: Duration::from_millis(5),
        }
    }
}

/// Who a walker is and where it goes.
#[derive(Debug, Clone)]
pub struct Walk {
    /// The language of its sockets.
    pub dialect: Dialect,
    /// Whose sockets they are.
    pub person: Person,
    /// Everybody whom it may hear.
    pub people: Arc<[Person]>,
    /// The gateways, the one that it begins with first.
    pub gateways: Vec<SocketAddr>,
    /// Where its messages go.
    pub target: Target,
    /// What it has seen of each of its threads when it begins.
    pub positions: Positions,
    /// Texts that are not part of the history: said before it began.
    pub before: Arc<BTreeSet<String>>,
}

/// What a walker went through besides what is in the history.
#[derive(Debug, Clone, Default)]
pub struct Walked {
    /// How its sockets ended: with which code, how often. Those that it left itself are not among them.
    pub closes: BTreeMap<Option<u16>, usize>,
    /// How often it left a socket that was silent for too long.
    pub silences: usize,
    /// Errors that answered it, by their text.
    pub errors: BTreeMap<String, usize>,
    /// What no Confab should answer.
    pub surprises: Vec<String>,
}

/// A send that has no answer yet.
#[derive(Debug)]
struct Pending {
    key: String,
    sent: Instant,
}

/// One person at one socket, and the sockets that resume it.
pub struct Walker {
    walk: Walk,
    habits: Habits,
    recorder: Recorder,
    conductor: Conductor,
    rests: HashMap<SocketAddr, Rest>,
    /// The gateway of the socket, as its place among the gateways.
    at: usize,
    said: usize,
    next: Instant,
    /// When what is pending is sent again; none: it waits for its answers.
    again: Option<Instant>,
    pending: VecDeque<Pending>,
    /// How often each key was tried.
    tries: HashMap<String, usize>,
    seen: BTreeSet<(i64, i64)>,
    answered: usize,
    reads: FuturesUnordered<BoxFuture<'static, Option<String>>>,
    was_busy: bool,
    /// The last round in which it had heard everything.
    caught_up: usize,
    walked: Walked,
}

impl Walker {
    /// One that has not begun. `rest` is a client whose connections are shared.
    #[must_use]
    pub fn new(
        walk: Walk,
        habits: Habits,
        recorder: Recorder,
        conductor: &Conductor,
        rest: &Rest,
    ) -> Self {
        conductor.count(|tally| {
            tally.walkers += 1;
            tally.busy += 1;
        });
        let rests = walk.gateways.iter();
        let rests = rests.map(|address| (*address, rest.of(*address, &walk.person.token)));
        Self {
            rests: rests.collect(),
            walk,
            next: Instant::now() + habits.after,
            habits,
            recorder,
            conductor: conductor.clone(),
            at: 0,
            said: 0,
            again: None,
            pending: VecDeque::new(),
            tries: HashMap::new(),
            seen: BTreeSet::new(),
            answered: 0,
            reads: FuturesUnordered::new(),
            was_busy: true,
            caught_up: 0,
            walked: Walked::default(),
        }
    }

    /// Talks and listens until it is told to go home.
    pub async fn run(mut self) -> Walked {
        let mut phases = self.conductor.phases();
        let mut socket = self.connect(What::Connect, &mut phases).await;
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut phase = phases.borrow_and_update().clone();
        while let Some(open) = &mut socket {
            self.report(&phase);
            let due = self.due(&phase);
            tokio::select! {
                received = open.receive() => match received {
                    Received::Frame(frame) => self.take(&frame),
                    Received::Closed(code) => {
                        *self.walked.closes.entry(code).or_default() += 1;
                        socket = self.reconnect(socket, &mut phases).await;
                    }
                },
                _ = phases.changed() => {
                    let before = std::mem::replace(&mut phase, phases.borrow_and_update().clone());
                    if phase.over {
                        break;
                    }
                    if before.silent && !phase.silent {
                        self.next = Instant::now() + self.habits.after;
                    }
                    if phase.round != before.round {
                        socket = self.reconnect(socket, &mut phases).await;
                    }
                }
                Some(surprise) = self.reads.next() => self.walked.surprises.extend(surprise),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.speak(open).await;
                }
                _ = watch.tick() => {
                    if open.silent_for() > self.habits.patience {
                        self.walked.silences += 1;
                        socket = self.reconnect(socket, &mut phases).await;
                    } else {
                        self.look_for_answers();
                    }
                }
            }
        }
        self.walked
    }

    /// Opens a socket at the first gateway that lets it, where the last one ended; none when all is over.
    async fn connect(&mut self, how: What, phases: &mut watch::Receiver<Phase>) -> Option<Socket> {
        let mut period = interval(self.habits.retry);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let from = From::Resume(self.walk.positions.clone());
        while !phases.borrow().over {
            period.tick().await;
            let address = self.walk.gateways[self.at];
            let opening = open(address, self.walk.dialect, &self.walk.person, &from);
            if let Ok(Ok(socket)) = timeout(self.habits.patience, opening).await {
                self.recorder.record(how);
                self.conductor.count(|tally| tally.connected += 1);
                return Some(socket.without_log());
            }
            self.at = (self.at + 1) % self.walk.gateways.len();
        }
        None
    }

    /// Leaves a socket for one at the next gateway. What has no answer is unknown then, and sent again there.
    async fn reconnect(
        &mut self,
        socket: Option<Socket>,
        phases: &mut watch::Receiver<Phase>,
    ) -> Option<Socket> {
        drop(socket);
        self.recorder.record(What::Close);
        self.conductor.count(|tally| tally.connected -= 1);
        self.doubt(Instant::now());
        self.at = (self.at + 1) % self.walk.gateways.len();
        self.connect(What::Resume, phases).await
    }

    /// When it says something next; none when it only listens.
    fn due(&self, phase: &Phase) -> Option<Instant> {
        if self.again.is_some() {
            return self.again;
        }
        let may = self.has_more(phase) && self.pending.len() < self.habits.window;
        may.then_some(self.next)
    }

    fn has_more(&self, phase: &Phase) -> bool {
        let talks = !phase.silent && self.walk.target != Target::Nobody;
        talks && self.habits.sends.is_none_or(|sends| self.said < sends)
    }

    /// Says the next thing, or everything again that has no answer.
    async fn speak(&mut self, socket: &mut Socket) {
        if self.again.take().is_some() {
            let mut keys = Vec::new();
            for pending in &mut self.pending {
                pending.sent = Instant::now();
                keys.push(pending.key.clone());
            }
            for key in keys {
                self.send(socket, &key).await;
            }
            return;
        }
        // One person's sockets share their keys.
        let lineage = self.recorder.lineage().0;
        let name = &self.walk.person.username;
        let key = format!("{name} says {} at {lineage}", self.said);
        self.said += 1;
        self.next = Instant::now() + self.habits.pace;
        let sent = Instant::now();
        self.pending.push_back(Pending {
            key: key.clone(),
            sent,
        });
        self.send(socket, &key).await;
    }

    async fn send(&mut self, socket: &mut Socket, key: &str) {
        let frame = match self.walk.target {
            Target::User(receiver) => direct::text_message(receiver, key, key),
            Target::Chat(chat) => json!({
                "type": "newMessage",
                "data": { "chat": chat, "text": key, "client_msg_id": key },
            }),
            Target::Nobody => return,
        };
        *self.tries.entry(key.to_owned()).or_default() += 1;
        self.recorder.record(What::Invoke {
            key: key.to_owned(),
            body: key.to_owned(),
        });
        // A socket that broke says so when it is read, and one that takes nothing is silent.
        let _ = timeout(self.habits.answer_within, socket.try_send(&frame)).await;
    }

    /// Nobody knows what became of what has no answer: it is sent again then.
    fn doubt(&mut self, again: Instant) {
        if self.pending.is_empty() || self.again.is_some() {
            return;
        }
        for pending in &self.pending {
            let key = pending.key.clone();
            self.recorder.record(What::Unknown { key });
        }
        self.again = Some(again);
    }

    fn look_for_answers(&mut self) {
        let within = self.habits.answer_within;
        let mut pending = self.pending.iter();
        if pending.any(|pending| pending.sent.elapsed() > within) {
            *self
                .walked
                .errors
                .entry("no answer".to_owned())
                .or_default() += 1;
            self.doubt(Instant::now());
        }
    }

    /// Writes down what a frame says.
    fn take(&mut self, frame: &Value) {
        let message = match self.walk.dialect {
            Dialect::Direct => direct::parse(frame),
            Dialect::Groups => groups::parse(frame, &self.walk.people),
        };
        let Some(message) = message else {
            if frame["action"] == "error" || frame["type"] == "error" {
                let text = frame["message"].as_str().unwrap_or_default().to_owned();
                *self.walked.errors.entry(text).or_default() += 1;
                self.doubt(Instant::now() + self.habits.retry);
            }
            return;
        };
        let position = self.walk.positions.entry(message.thread).or_default();
        *position = message.seq.max(*position);
        self.deliver(&message);
        let mut pending = self.pending.iter();
        let mine = message.sender == self.walk.person.id;
        if let Some(place) = pending.position(|send| mine && send.key == message.body) {
            self.pending.remove(place);
            self.acknowledge(message);
        }
    }

    fn acknowledge(&mut self, message: Message) {
        if self.pending.is_empty() {
            self.again = None;
        }
        let thread = message.thread;
        self.recorder.record(What::Ack {
            key: message.body.clone(),
            message,
        });
        self.conductor.count(|tally| tally.acknowledged += 1);
        self.answered += 1;
        if self.habits.read_every > 0 && self.answered.is_multiple_of(self.habits.read_every) {
            self.read_back(thread);
        }
    }

    /// The answer to a send that was repeated shows the message once more.
    fn deliver(&mut self, message: &Message) {
        let again = !self.seen.insert((message.thread, message.seq));
        let tries = self.tries.get(&message.body).copied().unwrap_or_default();
        if !again || tries < 2 {
            self.recorder.record(What::Deliver(message.clone()));
        }
    }

    /// Tells the conductor what has changed.
    fn report(&mut self, phase: &Phase) {
        let busy = !self.pending.is_empty() || !self.reads.is_empty() || self.has_more(phase);
        if busy != self.was_busy {
            self.was_busy = busy;
            self.conductor.count(|tally| {
                if busy {
                    tally.busy += 1;
                } else {
                    tally.busy -= 1;
                }
            });
        }
        let mut mine = self.walk.positions.iter();
        let heard = |(thread, seq)| phase.goal.get(thread).is_none_or(|end| seq >= end);
        if self.caught_up < phase.round && mine.all(heard) {
            self.caught_up = phase.round;
            self.conductor.count(|tally| tally.caught_up += 1);
        }
    }
}
