//! People who talk and listen whatever happens to the gateways, and write down what they see.

use std::net::SocketAddr;
use std::time::Duration;

use confab_testkit::checker::{Violation, check};
use confab_testkit::history::{History, Message, Recorder, What};
use confab_testkit::people::{Dialect, From, Person, Positions, open};
use confab_testkit::{Received, Socket, System, direct, groups, in_time};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Interval, interval};
use uuid::Uuid;

use super::gateway;

/// The least time between two attempts of the same thing.
const PERIOD: Duration = Duration::from_millis(5);

/// Where somebody's messages go.
#[derive(Debug, Clone, Copy)]
enum Target {
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
    goal: Option<Positions>,
}

/// A conversation of two and a group, over both dialects and all gateways.
pub(super) struct Load {
    walkers: Vec<Walker>,
    history: History,
    threads: Vec<i64>,
    progress: watch::Sender<Progress>,
    total: usize,
}

impl Load {
    /// Makes the people and their conversations. Each of five says `sends` things; three listen only.
    pub(super) async fn prepare(system: &System, sends: usize) -> Self {
        let names = ["ann", "ben", "kim", "dan", "eve", "mallory"];
        let people = system.people_named(names).await;
        let [ann, ben, kim, dan, eve, mallory] = &people;
        let address = system.address();
        // Everybody starts from a known place of each thread.
        let mut first = direct::Client::connect(address, ann).await;
        let pair = first.say(ben.id, "the first of two").await.thread;
        let mut chat = 0;
        for member in [kim, dan, eve] {
            let mut client = groups::Client::connect(address, member).await;
            if chat == 0 {
                chat = client.create().await;
            }
            client.join(chat).await;
        }
        let walks = [
            (Dialect::Direct, ann, Target::User(ben.id)),
            (Dialect::Direct, ben, Target::User(ann.id)),
            (Dialect::Direct, ben, Target::Nobody),
            (Dialect::Groups, ann, Target::Nobody),
            (Dialect::Groups, kim, Target::Chat(chat)),
            (Dialect::Groups, dan, Target::Chat(chat)),
            (Dialect::Groups, eve, Target::Chat(chat)),
            (Dialect::Direct, mallory, Target::Nobody),
            (Dialect::Groups, mallory, Target::Nobody),
        ];
        let history = History::new();
        let progress = watch::Sender::new(Progress::default());
        let threads = vec![pair, chat];
        let starts = system.table(&threads).await;
        let mut walkers = Vec::new();
        for (index, (dialect, person, target)) in walks.into_iter().enumerate() {
            let mine = |thread: &i64| starts.members.contains_key(&(*thread, person.id));
            let ends = threads.iter().copied().filter(mine);
            let ends = ends.map(|thread| (thread, end_of(&starts, thread)));
            walkers.push(Walker {
                dialect,
                person: person.clone(),
                people: people.to_vec(),
                gateways: rotated(system, index),
                target,
                sends,
                positions: ends.collect(),
                recorder: history.lineage(person.id),
                progress: progress.clone(),
                period: interval(PERIOD),
                tries: Vec::new(),
                seen: Vec::new(),
            });
        }
        Self {
            walkers,
            history,
            threads,
            progress,
            total: 5 * sends,
        }
    }

    /// Lets them talk while `faults` does what it does; gives what was broken. `faults` must leave a system that works.
    pub(super) async fn run(
        mut self,
        system: &mut System,
        faults: impl AsyncFnOnce(&mut System, &mut Watch),
    ) -> Vec<Violation> {
        let walks = join_all(self.walkers.iter_mut().map(Walker::run));
        let mut watch = Watch(self.progress.subscribe());
        let (progress, threads, total) = (&self.progress, &self.threads, self.total);
        let driving = async {
            faults(system, &mut watch).await;
            watch.acknowledged(total).await;
            let table = system.table(threads).await;
            let ends = threads
                .iter()
                .map(|thread| (*thread, end_of(&table, *thread)));
            let goal = Some(ends.collect());
            progress.send_modify(|progress| progress.goal = goal);
        };
        in_time("all is said and heard", async {
            tokio::join!(walks, driving)
        })
        .await;
        let mut table = system.table(&self.threads).await;
        // Said before the history began.
        table
            .messages
            .retain(|message| message.body != "the first of two");
        check(&self.history.story(), &table)
    }
}

/// Watches how far the talking is.
pub(super) struct Watch(watch::Receiver<Progress>);

impl Watch {
    /// Waits until so many sends were acknowledged.
    pub(super) async fn acknowledged(&mut self, count: usize) {
        let reached = self.0.wait_for(|progress| progress.acknowledged >= count);
        reached.await.expect("the load goes on");
    }
}

/// The addresses of the gateways, beginning with another one for each index.
fn rotated(system: &System, index: usize) -> Vec<SocketAddr> {
    let gateways = system.addresses().len();
    (0..gateways)
        .map(|step| gateway(system, index + step))
        .collect()
}

fn end_of(table: &confab_testkit::checker::Table, thread: i64) -> i64 {
    let messages = table.messages.iter().filter(|m| m.thread == thread);
    let said = messages.map(|message| message.seq).max();
    let members = table.members.iter().filter(|member| member.0.0 == thread);
    let joined = members.map(|(_, seq)| *seq).max();
    said.max(joined).unwrap_or_default()
}

/// One person at one socket, and the sockets that resume it.
struct Walker {
    dialect: Dialect,
    person: Person,
    people: Vec<Person>,
    gateways: Vec<SocketAddr>,
    target: Target,
    sends: usize,
    positions: Positions,
    recorder: Recorder,
    progress: watch::Sender<Progress>,
    period: Interval,
    /// Keys that were tried, each as often as it was.
    tries: Vec<String>,
    seen: Vec<(i64, i64)>,
}

impl Walker {
    /// Talks until all was said, and listens until all was heard.
    async fn run(&mut self) {
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
                (Answer::Acknowledged, _) => pending = None,
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
