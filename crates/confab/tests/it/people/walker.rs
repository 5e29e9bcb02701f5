//! One of the people of a load: somebody who talks and listens at one socket after another.

use std::net::SocketAddr;
use std::time::Duration;

use confab_testkit::history::{Message, Recorder, What};
use confab_testkit::people::{Dialect, From, Person, Positions, open};
use confab_testkit::{Received, Rest, Socket, direct, groups};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Interval;
use uuid::Uuid;

/// The least time between two attempts of the same thing.
pub(super) const PERIOD: Duration = Duration::from_millis(5);

/// Said before the history began.
pub(super) const FIRST: &str = "the first of two";

/// Where somebody's messages go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// To another user.
    User(Uuid),
    /// Into a chat.
    Chat(i64),
    /// Nowhere: they only listen.
    Nobody,
}

/// How far the talking is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// How many sends were acknowledged.
    pub(super) acknowledged: usize,
    /// Where the threads end once all was said.
    pub(super) goal: Option<Positions>,
}

/// One person at one socket, and the sockets that resume it.
pub(super) struct Walker {
    pub(super) dialect: Dialect,
    pub(super) person: Person,
    pub(super) people: Vec<Person>,
    pub(super) gateways: Vec<SocketAddr>,
    pub(super) target: Target,
    pub(super) sends: usize,
    /// The gateway of the socket.
    pub(super) at: SocketAddr,
    pub(super) positions: Positions,
    pub(super) recorder: Recorder,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) period: Interval,
    /// Keys that were tried, each as often as it was.
    pub(super) tries: Vec<String>,
    pub(super) seen: Vec<(i64, i64)>,
}

impl Walker {
    /// Talks until all was said, and listens until all was heard.
    pub(super) async fn run(&mut self) {
        let mut progress = self.progress.subscribe();
        let mut socket = self.connect(What::Connect).await;
        let mut sends = (0..self.sends)
            .map(|index| self.text(index))
            .collect::<Vec<_>>();
        sends.reverse();
        if matches!(self.target, Target::Nobody) {
            sends.clear();
        }
        let mut pending: Option<String> = None;
        while !self.has_heard_all(&progress) || pending.is_some() || !sends.is_empty() {
            if pending.is_none() {
                pending = sends.pop();
                if let Some(key) = &pending {
                    self.send(&mut socket, key).await;
                }
            }
            let received = tokio::select! {
                received = socket.receive() => received,
                changed = progress.changed() => {
                    changed.expect("the load goes on");
                    continue;
                }
            };
            let answered = match received {
                Received::Frame(frame) => self.take(&frame, pending.as_deref()),
                Received::Closed(_) => {
                    self.recorder.record(What::Close);
                    socket = self.connect(What::Resume).await;
                    Answer::Unknown
                }
            };
            match (answered, &pending) {
                (Answer::Acknowledged, _) => {
                    pending = None;
                    self.read_back().await;
                }
                (Answer::Unknown, Some(key)) => {
                    let key = key.clone();
                    self.recorder.record(What::Unknown { key: key.clone() });
                    self.period.tick().await;
                    self.send(&mut socket, &key).await;
                }
                _ => {}
            }
        }
    }

    /// Opens a socket at the first gateway that lets it, where the last one ended.
    async fn connect(&mut self, how: What) -> Socket {
        let from = From::Resume(self.positions.clone());
        for address in self.gateways.clone().into_iter().cycle() {
            self.period.tick().await;
            if let Ok(socket) = open(address, self.dialect, &self.person, &from).await {
                self.recorder.record(how);
                self.at = address;
                return socket;
            }
        }
        unreachable!("there is a gateway")
    }

    async fn send(&mut self, socket: &mut Socket, key: &str) {
        let frame = match self.target {
            Target::User(receiver) => direct::text_message(receiver, key, key),
            Target::Chat(chat) => json!({
                "type": "newMessage",
                "data": { "chat": chat, "text": key, "client_msg_id": key },
            }),
            Target::Nobody => return,
        };
        self.tries.push(key.to_owned());
        self.recorder.record(What::Invoke {
            key: key.to_owned(),
            body: key.to_owned(),
        });
        // A socket that broke says so when it is read.
        socket.try_send(&frame).await;
    }

    /// Reads the whole conversation through another gateway than that of the socket, unless no other answers.
    async fn read_back(&mut self) {
        let others = self.gateways.iter().filter(|address| **address != self.at);
        let gateways: Vec<_> = others.copied().chain([self.at]).collect();
        for address in gateways.into_iter().cycle() {
            let asked = self.recorder.now();
            if let Some(mut messages) = self.history(address).await {
                messages.retain(|message| message.body != FIRST);
                let thread = messages.first().expect("what was just said").thread;
                self.recorder.record(What::Read {
                    thread,
                    asked,
                    messages,
                });
                return;
            }
            self.period.tick().await;
        }
    }

    /// What was said where this one talks; `None` when the gateway or what it needs is away.
    async fn history(&self, address: SocketAddr) -> Option<Vec<Message>> {
        match self.target {
            Target::User(other) => {
                let rest = Rest::with_token(address, &self.person.token);
                direct::history(&rest, other).await
            }
            Target::Chat(chat) => groups::history(address, &self.person, chat, &self.people).await,
            Target::Nobody => unreachable!("who says nothing reads nothing"),
        }
    }

    /// Writes down what a frame says.
    fn take(&mut self, frame: &Value, pending: Option<&str>) -> Answer {
        let message = match self.dialect {
            Dialect::Direct => direct::parse(frame),
            Dialect::Groups => groups::parse(frame, &self.people),
        };
        let Some(message) = message else {
            let error = frame["action"] == "error" || frame["type"] == "error";
            return if error { Answer::Unknown } else { Answer::None };
        };
        let position = self.positions.entry(message.thread).or_default();
        *position = message.seq.max(*position);
        let mine = message.sender == self.person.id && pending == Some(&message.body);
        self.deliver(&message);
        if !mine {
            return Answer::None;
        }
        self.recorder.record(What::Ack {
            key: message.body.clone(),
            message,
        });
        self.progress
            .send_modify(|progress| progress.acknowledged += 1);
        Answer::Acknowledged
    }

    /// The answer to a send that was repeated shows the message once more.
    fn deliver(&mut self, message: &Message) {
        let place = (message.thread, message.seq);
        let tries = self
            .tries
            .iter()
            .filter(|key| **key == message.body)
            .count();
        let again = self.seen.contains(&place);
        self.seen.push(place);
        if !again || tries < 2 {
            self.recorder.record(What::Deliver(message.clone()));
        }
    }

    fn has_heard_all(&self, progress: &watch::Receiver<Progress>) -> bool {
        let progress = progress.borrow();
        let Some(goal) = &progress.goal else {
            return false;
        };
        let mut mine = self.positions.iter();
        mine.all(|(thread, seq)| goal.get(thread).is_none_or(|end| seq >= end))
    }

    fn text(&self, index: usize) -> String {
        format!("{} says {index}", self.person.username)
    }
}

/// What a frame means for the send that waits.
enum Answer {
    Acknowledged,
    /// It may or may not be stored.
    Unknown,
    None,
}
