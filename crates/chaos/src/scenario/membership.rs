//! Who may hear what changes while it is being said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use confab_testkit::history::{Recorder, What};
use confab_testkit::people::{Dialect, From, Person, Positions, open};
use confab_testkit::walker::{Habits, Target, Walk};
use confab_testkit::{Received, Rest, Socket, groups};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::Scenario;
use crate::load::register;
use crate::runner::Stage;

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(MembershipRace)]
}

/// In a busy group people come in, and people are signed out: by themselves, or because somebody else used their refresh
/// token. Who comes hears everything from then on and nothing from before; who is signed out hears nothing any more.
struct MembershipRace;

const SPEAKERS: usize = 4;
const NEWCOMERS: usize = 10;
const LEAVERS: usize = 6;
/// One in so many leavers does not leave by itself: its refresh token was stolen.
const STOLEN: usize = 3;
/// Between two that come or go.
const PAUSE: Duration = Duration::from_millis(200);
/// The code of a socket whose session was ended, and how long it may take until it is closed.
const REVOKED: u16 = 4003;
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// How long it is waited for one that is not closed.
const LONGEST: Duration = Duration::from_secs(20);
const PASSWORD: &str = "correct horse battery staple";

/// Somebody whose session will be ended.
struct Leaver {
    person: Person,
    refresh: String,
    /// What each of its sockets sees.
    recorders: Vec<Recorder>,
}

/// Whose socket ended, with which code, and when.
type Closed = (usize, Option<u16>, Instant);

#[async_trait(?Send)]
impl Scenario for MembershipRace {
    fn id(&self) -> &'static str {
        "F30"
    }

    fn title(&self) -> &'static str {
        "people come into a busy group, and are signed out of it"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        let (chat, speakers) = talk(stage).await;
        let newcomers = register(&stage.load.rest, &stage.topology, NEWCOMERS).await;
        let mut leavers = Vec::new();
        let mut listening = JoinSet::new();
        for index in 0..LEAVERS {
            leavers.push(sign_in(stage, chat).await);
            sit_down(stage, index, &mut leavers, &speakers, &mut listening).await;
        }
        stage.note("everybody is there");
        come(stage, chat, &speakers, &newcomers).await;
        go(stage, &leavers, listening).await;
        stage.until_heal().await;
    }
}

/// Lets a few people talk in a new group: its number and who they are.
async fn talk(stage: &mut Stage) -> (i64, Vec<Person>) {
    let speakers = register(&stage.load.rest, &stage.topology, SPEAKERS).await;
    let mut chat = 0;
    for (index, speaker) in speakers.iter().enumerate() {
        let address = stage.topology.addresses(index)[0];
        let mut client = groups::Client::connect(address, speaker).await;
        if chat == 0 {
            chat = client.create().await;
        }
        client.join(chat).await;
    }
    stage.load.threads.push(chat);
    for (index, speaker) in speakers.iter().enumerate() {
        let habits = Habits {
            pace: Duration::from_millis(200),
            read_every: 10,
            retry: Duration::from_millis(100),
            ..Habits::default()
        };
        walk(stage, speaker, Target::Chat(chat), index, habits, &speakers);
    }
    (chat, speakers)
}

fn walk(
    stage: &mut Stage,
    person: &Person,
    target: Target,
    index: usize,
    habits: Habits,
    heard: &[Person],
) {
    let walk = Walk {
        dialect: Dialect::Groups,
        person: person.clone(),
        people: heard.into(),
        gateways: stage.topology.addresses(index),
        target,
        positions: Positions::new(),
        before: Arc::default(),
    };
    stage.load.walk(walk, habits);
}

/// Everybody listens first and joins then, through another gateway.
async fn come(stage: &mut Stage, chat: i64, speakers: &[Person], newcomers: &[Person]) {
    for (index, newcomer) in newcomers.iter().enumerate() {
        let connected = stage.load.conductor.tally().connected;
        walk(
            stage,
            newcomer,
            Target::Nobody,
            index,
            Habits::default(),
            speakers,
        );
        let there = stage
            .load
            .conductor
            .until(|tally| tally.connected > connected);
        let _ = timeout(LONGEST, there).await;
        let address = stage.topology.addresses(index + 1)[0];
        let mut client = groups::Client::connect(address, newcomer).await;
        client.join(chat).await;
        stage.pause(PAUSE).await;
    }
    stage.note("all have come");
}

/// Somebody with a session of its own who is in the group.
async fn sign_in(stage: &Stage, chat: i64) -> Leaver {
    let address = stage.topology.addresses(0)[0];
    let rest = Rest::anonymous(address);
    let username = format!("leaver-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let credentials = json!({ "username": username, "password": PASSWORD });
    let (status, body) = rest.post("/auth/register", &credentials).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = rest.post("/auth/login", &credentials).await;
    assert_eq!(status, 200, "{body}");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let person = Person {
        id: text(&body["user"]["id"]).parse().expect("a UUID"),
        number: body["user"]["number"].as_i64().expect("a number"),
        username,
        token: text(&body["access"]),
    };
    let mut client = groups::Client::connect(address, &person).await;
    client.join(chat).await;
    Leaver {
        refresh: text(&body["refresh"]),
        person,
        recorders: Vec::new(),
    }
}

/// Lets somebody listen at every gateway.
async fn sit_down(
    stage: &Stage,
    index: usize,
    leavers: &mut [Leaver],
    speakers: &[Person],
    listening: &mut JoinSet<Closed>,
) {
    let leaver = &mut leavers[index];
    for address in stage.topology.addresses(0) {
        let socket = open(address, Dialect::Groups, &leaver.person, &From::Now).await;
        let socket = socket.expect("the socket opens");
        let recorder = stage.load.history.lineage(leaver.person.id);
        recorder.record(What::Connect);
        leaver.recorders.push(recorder.clone());
        listening.spawn(listen(index, socket, recorder, speakers.to_vec()));
    }
}

/// Ends the sessions of all, one after another, while they listen.
async fn go(stage: &mut Stage, leavers: &[Leaver], listening: JoinSet<Closed>) {
    let address = stage.topology.addresses(1)[0];
    let rest = Rest::anonymous(address);
    let mut ended = Vec::new();
    for (index, leaver) in leavers.iter().enumerate() {
        let signed = rest.of(address, &leaver.person.token);
        let wrong = end(&signed, &leaver.refresh, index % STOLEN == 0).await;
        ended.push(Instant::now());
        leaver
            .recorders
            .iter()
            .for_each(|it| it.record(What::Revoke));
        for wrong in wrong {
            stage.wrong(format!("{}: {wrong}", leaver.person.username));
        }
        stage.pause(PAUSE).await;
    }
    let mut slowest = Duration::ZERO;
    for (index, code, at) in listening.join_all().await {
        let took = at.saturating_duration_since(ended[index]);
        slowest = slowest.max(took);
        let name = &leavers[index].person.username;
        stage.expect(
            code == Some(REVOKED) && took <= CLOSED_WITHIN,
            format!("a socket of {name} was closed with {code:?} after {took:?}"),
        );
    }
    stage.measured("closed_after_ms", slowest.as_secs_f64() * 1000.0);
    for leaver in leavers {
        let signed = rest.of(address, &leaver.person.token);
        is_shut_out(stage, &signed, leaver).await;
    }
    stage.note("all have gone");
}

/// Writes down what comes until the socket ends; how and when it did.
async fn listen(
    index: usize,
    mut socket: Socket,
    recorder: Recorder,
    people: Vec<Person>,
) -> Closed {
    let hearing = async {
        loop {
            match socket.receive().await {
                Received::Frame(frame) => {
                    if let Some(message) = groups::parse(&frame, &people) {
                        recorder.record(What::Deliver(message));
                    }
                }
                Received::Closed(code) => return code,
            }
        }
    };
    let code = timeout(LONGEST, hearing).await.unwrap_or_default();
    recorder.record(What::Close);
    (index, code, Instant::now())
}

/// Ends a session; what was wrong with that.
async fn end(rest: &Rest, refresh: &str, stolen: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mine = json!({ "refresh": refresh });
    if !stolen {
        let (status, body) = rest.post("/auth/logout", &mine).await;
        if !(200..300).contains(&status) {
            wrong.push(format!("signing out gave {status} {body}"));
        }
        return wrong;
    }
    // Whoever took it used it, and the one who got it thereby.
    let mut next = mine.clone();
    for _ in 0..2 {
        let (status, body) = rest.post("/auth/refresh", &next).await;
        if status != 200 {
            wrong.push(format!("a refresh gave {status} {body}"));
        }
        next = json!({ "refresh": body["refresh"] });
    }
    let (status, body) = rest.post("/auth/refresh", &mine).await;
    if status != 401 {
        wrong.push(format!(
            "a refresh token that was used before gave {status} {body}"
        ));
    }
    wrong
}

/// Neither token opens anything any more.
async fn is_shut_out(stage: &mut Stage, rest: &Rest, leaver: &Leaver) {
    let Leaver {
        person, refresh, ..
    } = leaver;
    let name = &person.username;
    let (status, _) = rest.get("/auth/me").await;
    stage.expect(
        status == 401,
        format!("{name} asks who it is and gets {status}"),
    );
    let (status, _) = rest
        .post("/auth/refresh", &json!({ "refresh": refresh }))
        .await;
    stage.expect(status == 401, format!("{name} refreshes and gets {status}"));
    for address in stage.topology.addresses(0) {
        let socket = open(address, Dialect::Groups, person, &From::Now).await;
        stage.expect(socket.is_err(), format!("{name} gets a socket"));
    }
}
