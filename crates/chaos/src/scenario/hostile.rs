//! Peers that mean harm, and a gateway that runs out of what it needs to let anybody in.

mod wire;

use std::time::Duration;

use async_trait::async_trait;
use confab_testkit::people::{Dialect, Person};
use futures_util::future::join_all;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Scenario;
use crate::load::register;
use crate::runner::{Evidence, Stage};
use crate::topology::Part;
use crate::vitals::look;
use wire::{Answer, attacks, drip, requests, send, talk};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(HostileInput), Box::new(NoFilesLeft)]
}

/// Frames that are too large, never end, are no text or no frames, and requests that are too deep, too long, ambiguous or
/// never finished, while others talk.
struct HostileInput;

/// Connections that never finish their request.
const SLOW: usize = 100;
/// What a gateway may have grown by afterwards.
const GROWN: u64 = 64 * 1024 * 1024;
/// How long a connection that does not finish its request may stay.
const STAYS: Duration = Duration::from_secs(20);

#[async_trait(?Send)]
impl Scenario for HostileInput {
    fn id(&self) -> &'static str {
        "F35"
    }

    fn title(&self) -> &'static str {
        "peers send what no front end sends"
    }

    async fn fault(&self, stage: &mut Stage) {
        let person = register(&stage.load.rest, &stage.topology, 1).await;
        let address = stage.topology.gateway(0);
        let before = memory(stage).await;
        let slow = join_all((0..SLOW).map(|_| timeout(STAYS, drip(address))));
        let attacking = attack(stage, &person[0]);
        let (slow, wrong) = tokio::join!(slow, attacking);
        for wrong in wrong {
            stage.wrong(wrong);
        }
        let staying = slow.iter().filter(|ended| ended.is_err()).count();
        stage.expect(
            staying == 0,
            format!("{staying} requests were not finished and not ended"),
        );
        let grown = memory(stage).await.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "a number to look at")]
        stage.measured("grown_mib", grown as f64 / 1_048_576.0);
        stage.expect(grown <= GROWN, format!("the gateway grew by {grown} bytes"));
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, _evidence: &Evidence) {
        let starts = stage.topology.process(Part::gateway(0)).starts();
        stage.expect(starts == 1, "the gateway was started again");
    }
}

/// Tries everything in every room; what was answered otherwise than it should.
async fn attack(stage: &Stage, person: &Person) -> Vec<String> {
    let mut wrong = Vec::new();
    let address = stage.topology.gateway(0);
    for dialect in Dialect::BOTH {
        let path = format!("{}?token={}", dialect.room(), person.token);
        for (name, bytes) in attacks() {
            let answer = talk(address, &path, &bytes).await;
            let refused = match &answer {
                Answer::Closed(code) => (1002..=1011).contains(code),
                Answer::Text(text) => text.contains("error"),
                Answer::Gone => true,
                Answer::Nothing => false,
            };
            if !refused {
                wrong.push(format!(
                    "{name} in {dialect:?} was answered with {answer:?}"
                ));
            }
        }
    }
    for (name, bytes) in requests() {
        let answer = send(address, &bytes).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        if !refused {
            let line = answer.lines().next().unwrap_or_default();
            wrong.push(format!("{name} was answered with {line}"));
        }
    }
    wrong
}

/// A gateway may open no file and no connection more. Who has a socket keeps it, and others come in once there is room.
struct NoFilesLeft;

/// How many more it may open, and how many try.
const ROOM: u64 = 4;
const KNOCKING: usize = 40;

#[async_trait(?Send)]
impl Scenario for NoFilesLeft {
    fn id(&self) -> &'static str {
        "F28"
    }

    fn title(&self) -> &'static str {
        "a gateway has no files left to open"
    }

    fn allowed_errors(&self) -> Vec<&'static str> {
        vec!["Too many open files", "os error 24"]
    }

    async fn fault(&self, stage: &mut Stage) {
        let pid = pid(stage);
        let files = look(pid, None).await.map_or(0, |vitals| vitals.files);
        stage.measured("files", f64::from(u32::try_from(files).unwrap_or(u32::MAX)));
        limit(pid, Some(files + ROOM));
        stage.note("no more files");
        let address = stage.topology.gateway(0);
        let knocking = join_all((0..KNOCKING).map(|_| TcpStream::connect(address)));
        // The system takes them in; the gateway cannot.
        let _outside = timeout(Duration::from_secs(5), knocking).await;
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        let pid = pid(stage);
        limit(pid, getrlimit(Resource::Nofile).current);
        let began = Instant::now();
        let url = format!("http://{}/livez", stage.topology.gateway(0));
        let alive = timeout(Duration::from_secs(5), reqwest::get(url)).await;
        let alive = alive.is_ok_and(|answer| answer.is_ok_and(|it| it.status().is_success()));
        stage.measured("answers_after_ms", began.elapsed().as_secs_f64() * 1000.0);
        stage.expect(alive, "the gateway lets nobody in");
    }

    async fn judge(&self, stage: &mut Stage, _evidence: &Evidence) {
        let starts = stage.topology.process(Part::gateway(0)).starts();
        stage.expect(starts == 1, "the gateway was started again");
    }
}

fn pid(stage: &Stage) -> u32 {
    let process = stage.topology.process(Part::gateway(0));
    process.id().expect("the gateway runs")
}

async fn memory(stage: &Stage) -> u64 {
    let vitals = look(pid(stage), None).await;
    vitals.expect("the gateway runs").resident
}

/// Lets a process have so many files open.
fn limit(pid: u32, files: Option<u64>) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: files,
        maximum,
    };
    prlimit(pid, Resource::Nofile, limit).expect("a child of ours can be limited");
}
