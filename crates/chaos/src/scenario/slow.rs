//! Front ends that do not read what they are sent.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use confab_testkit::history::Message;
use confab_testkit::people::{Dialect, From, Person, Positions, open};
use confab_testkit::{Received, Socket, groups};
use futures_util::future::{join, join_all};
use serde_json::json;

use super::Scenario;
use crate::load::{Load, register};
use crate::runner::{Evidence, Measures, Stage, percentile};
use crate::topology::Part;
use crate::vitals::look;

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(SlowConsumers)]
}

/// Ten members of a busy conversation stop reading. Their sockets are closed with a code that says so, they miss nothing
/// when they come back, and nobody else notices.
struct SlowConsumers;

const SLEEPERS: usize = 10;
const SPEAKERS: usize = 4;
/// With those who sleep, those who speak and everybody who takes part in the load there are sixty.
const MEMBERS: usize = 60;
/// Room for what a sleeper's system takes in before it reads.
const NARROW: u32 = 4096;
/// Enough of the longest texts to fill a socket's queue and the buffers of its connection.
const TEXTS: usize = 400;
const TEXT_BYTES: usize = 15 * 1024;
/// The code of a socket that was closed because too little was read.
const SLOW_CONSUMER: u16 = 4008;
/// How long a sleeper that wakes up may have to read until it is told that its socket is over.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// What a gateway may hold for each sleeper, and what it may need besides for a while.
const HELD: u64 = 2 * 1024 * 1024;
const BESIDES: u64 = 64 * 1024 * 1024;
/// What others may wait for a message, 99 times in 100, unless it was half of that before already.
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// The busy conversation.
struct Party {
    chat: i64,
    speakers: Vec<Person>,
    sleepers: Vec<Person>,
    readers: Vec<Person>,
    people: Vec<Person>,
}

impl Party {
    async fn gather(stage: &Stage) -> Self {
        let count = MEMBERS - stage.load.people.len();
        let people = register(&stage.load.rest, &stage.topology, count).await;
        let others = stage.load.people.iter().cloned();
        let people: Vec<Person> = people.into_iter().chain(others).collect();
        let address = stage.topology.gateway(0);
        let mut chat = 0;
        for person in &people {
            let mut client = groups::Client::connect(address, person).await;
            if chat == 0 {
                chat = client.create().await;
            }
            client.join(chat).await;
        }
        Self {
            chat,
            speakers: people[..SPEAKERS].to_vec(),
            sleepers: people[SPEAKERS..][..SLEEPERS].to_vec(),
            readers: people[SPEAKERS + SLEEPERS..count].to_vec(),
            people,
        }
    }

    /// Says everything, several at a time, each one thing after another; what was stored, in order.
    async fn speak(&self, stage: &Stage) -> Vec<Message> {
        let places = join_all(
            self.speakers
                .iter()
                .map(|speaker| self.monologue(stage, speaker)),
        );
        let mut places: Vec<i64> = places.await.concat();
        places.sort_unstable();
        let [first, .., last] = places[..] else {
            return Vec::new();
        };
        self.catch_up(stage, &self.speakers[0], first - 1, last)
            .await
    }

    /// All that is said, as one hears it who reads at the gateway of the sleepers.
    async fn read(&self, mut socket: Socket) -> Vec<Message> {
        let mut heard = Vec::new();
        while heard.len() < TEXTS {
            let Received::Frame(frame) = socket.receive().await else {
                break;
            };
            let message = groups::parse(&frame, &self.people);
            heard.extend(message.filter(|message| message.thread == self.chat));
        }
        heard
    }

    /// Where each of the things is that one says.
    async fn monologue(&self, stage: &Stage, speaker: &Person) -> Vec<i64> {
        let mut client = groups::Client::connect(stage.topology.gateway(1), speaker).await;
        let mut places = Vec::new();
        for index in 0..TEXTS / SPEAKERS {
            let key = format!("{index} of many of {}", speaker.username);
            let text = format!("{key:<TEXT_BYTES$}.");
            let data = json!({ "chat": self.chat, "text": text, "client_msg_id": key });
            let said = client.call("newMessage", data).await;
            let said = said.expect("the message is taken");
            places.push(said["seq"].as_i64().expect("a message has a place"));
        }
        places
    }

    /// What a sleeper finds when it wakes up, and how its socket ended, after how long.
    async fn wake(&self, mut socket: Socket) -> (Vec<Message>, Option<u16>, Duration) {
        let began = Instant::now();
        let code = socket.closed().await;
        (self.heard(&socket), code, began.elapsed())
    }

    /// What is sent to a sleeper that comes back to where it was.
    async fn catch_up(&self, stage: &Stage, sleeper: &Person, from: i64, to: i64) -> Vec<Message> {
        let from = From::Resume(Positions::from([(self.chat, from)]));
        let address = stage.topology.gateway(1);
        let socket = open(address, Dialect::Groups, sleeper, &from).await;
        let mut socket = socket.expect("the socket opens");
        while self.heard(&socket).last().is_none_or(|last| last.seq < to) {
            if let Received::Closed(_) = socket.receive().await {
                break;
            }
        }
        self.heard(&socket)
    }

    fn heard(&self, socket: &Socket) -> Vec<Message> {
        let frames = socket.log().iter();
        let messages = frames.filter_map(|frame| groups::parse(frame, &self.people));
        messages
            .filter(|message| message.thread == self.chat)
            .collect()
    }
}

#[async_trait(?Send)]
impl Scenario for SlowConsumers {
    fn id(&self) -> &'static str {
        "F21"
    }

    fn title(&self) -> &'static str {
        "ten front ends of sixty stop reading"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        // Who does not read answers no ping either, and is to be found out by what waits for it.
        vec![("gateway.sockets.ping_seconds", "25".to_owned())]
    }

    fn load(&self) -> Load {
        Load {
            patience: Duration::from_mins(1),
            ..Load::default()
        }
    }

    async fn fault(&self, stage: &mut Stage) {
        let party = Party::gather(stage).await;
        let gateway = stage.topology.gateway(0);
        let asleep = join_all(party.sleepers.iter().map(|sleeper| {
            let path = format!("{}?token={}", Dialect::Groups.room(), sleeper.token);
            async move { Socket::open_narrow(gateway, &path, NARROW).await }
        }));
        let asleep = asleep.await.into_iter();
        let asleep: Vec<Socket> = asleep.map(|it| it.expect("a socket opens")).collect();
        let awake = join_all(
            party
                .readers
                .iter()
                .map(|reader| open(gateway, Dialect::Groups, reader, &From::Now)),
        );
        let awake = awake.await.into_iter();
        let reading = awake.map(|it| party.read(it.expect("a socket opens").without_log()));
        let reading = join_all(reading.collect::<Vec<_>>());
        let before = memory(stage).await;
        stage.note("they sleep");
        let (said, heard) = join(party.speak(stage), reading).await;
        for (reader, heard) in party.readers.iter().zip(heard) {
            let name = &reader.username;
            stage.expect(
                heard == said,
                format!("{name}, who reads, heard {} of {}", heard.len(), said.len()),
            );
        }
        let after = memory(stage).await;
        stage.note("all is said");
        let grown = after.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "a number to look at")]
        stage.measured("grown_mib", grown as f64 / 1_048_576.0);
        stage.expect(
            grown <= HELD * SLEEPERS as u64 + BESIDES,
            format!("the gateway grew by {grown} bytes"),
        );
        let woken = join_all(asleep.into_iter().map(|socket| party.wake(socket))).await;
        stage.note("they woke up");
        let end = said.last().map_or(0, |last| last.seq);
        for (sleeper, (heard, code, took)) in party.sleepers.iter().zip(woken) {
            let name = &sleeper.username;
            stage.expect(
                code == Some(SLOW_CONSUMER) && took <= TOLD_WITHIN,
                format!("{name} was closed with {code:?} after {took:?}"),
            );
            let whole = said.get(..heard.len()) == Some(&heard);
            stage.expect(
                whole && heard.len() < said.len(),
                format!(
                    "{name} had {} in its buffers, in order: {whole}",
                    heard.len()
                ),
            );
            let from = heard.last().map_or(said[0].seq - 1, |last| last.seq);
            let missed = party.catch_up(stage, sleeper, from, end).await;
            stage.expect(
                missed == said[heard.len()..],
                format!("{name} was sent {} after {from}", missed.len()),
            );
        }
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let fault = stage.timing.fault - stage.timing.began;
        let measures = Measures::of(&evidence.story, fault, evidence.resting, evidence.resting);
        let [before, all] = [&measures.before, &measures.all].map(|times| percentile(times, 0.99));
        let longest = OTHERS_WAIT.max(2 * before);
        stage.expect(
            all <= longest,
            format!("others waited {all:?} for a message, and {before:?} before"),
        );
    }
}

/// What the gateway of the sleepers has of memory.
async fn memory(stage: &Stage) -> u64 {
    let process = stage.topology.process(Part::gateway(0));
    let pid = process.id().expect("the gateway runs");
    let vitals = look(pid, None).await.expect("the gateway runs");
    vitals.resident
}
