//! Some cannot reach some others, while everybody runs.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use confab::Role;
use confab_testkit::{Rest, Way, Wire, direct};

use super::{Scenario, probe};
use crate::load::register;
use crate::runner::{Evidence, Stage, percentile};
use crate::topology::{End, Part};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Partial), Box::new(OneWay), Box::new(Stranded)]
}

/// The longest that anybody waits for an answer: less than a front end would.
const ANSWERED: Duration = Duration::from_secs(8);

/// Two people talk at the second gateway for a while, undisturbed.
async fn undisturbed(stage: &mut Stage, time: Duration) {
    let rest = Rest::anonymous(stage.topology.gateway(1));
    let people = register(&rest, &stage.topology, 2).await;
    let mut ann = direct::Client::connect(stage.topology.gateway(1), &people[0]).await;
    let until = Instant::now() + time;
    let mut took = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        ann.say(people[1].id, &format!("undisturbed {}", took.len()))
            .await;
        took.push(began.elapsed());
        stage.pause(Duration::from_millis(100)).await;
    }
    took.sort_unstable();
    let most = percentile(&took, 0.99);
    stage.measured("other_gateway_p99_ms", most.as_secs_f64() * 1000.0);
    stage.expect(
        most < Duration::from_secs(1),
        format!("at the gateway that nothing is wrong with, sends take {most:?}"),
    );
}

/// Asks a gateway for something that it needs the other side for; how long the answer took, and what it was.
async fn asked(stage: &mut Stage, gateway: usize) {
    let person = stage.load.people[0].clone();
    let rest = Rest::with_token(stage.topology.gateway(gateway), &person.token);
    let began = Instant::now();
    let answer = tokio::time::timeout(ANSWERED * 2, rest.get("/conversations")).await;
    let took = began.elapsed();
    let status = answer.map(|(status, _)| status).ok();
    stage.note(&format!(
        "gateway {gateway} answers {status:?} after {took:?}"
    ));
    stage.expect(
        took < ANSWERED && status == Some(503),
        format!("gateway {gateway}, cut off, answers {status:?} after {took:?}"),
    );
}

/// What a gateway says of whether it is ready, as soon as that is what is expected, or after two seconds.
async fn said_to_be(stage: &Stage, gateway: usize, expected: u16) -> Option<u16> {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        let said = probe::ask(stage, gateway, "/readyz").await;
        let status = said.map(|(status, _)| status);
        if status == Some(expected) || Instant::now() > until {
            return status;
        }
        stage.pause(Duration::from_millis(50)).await;
    }
}

/// One gateway does not reach the conversations.
struct Partial;

#[async_trait(?Send)]
impl Scenario for Partial {
    fn id(&self) -> &'static str {
        "F23"
    }

    fn title(&self) -> &'static str {
        "one gateway does not reach the conversations"
    }

    async fn fault(&self, stage: &mut Stage) {
        let wire = stage
            .topology
            .wire(Part::gateway(0), End::Role(Role::Threads));
        for way in Way::BOTH {
            wire.set(way, Wire::swallowed());
        }
        stage.note("gateway 0 does not reach the conversations");
        asked(stage, 0).await;
        for (gateway, expected) in [(0, 503), (1, 200)] {
            let said = said_to_be(stage, gateway, expected).await;
            stage.expect(
                said == Some(expected),
                format!("gateway {gateway} says {said:?} of whether it is ready"),
            );
        }
        let left = stage.left_until_heal();
        undisturbed(stage, left).await;
    }

    async fn heal(&self, stage: &mut Stage) {
        let wire = stage
            .topology
            .wire(Part::gateway(0), End::Role(Role::Threads));
        wire.mend().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// A replica of the conversations asks the database, and never hears an answer.
struct OneWay;

#[async_trait(?Send)]
impl Scenario for OneWay {
    fn id(&self) -> &'static str {
        "F23O"
    }

    fn title(&self) -> &'static str {
        "one replica of threads gets no answers from PostgreSQL"
    }

    async fn fault(&self, stage: &mut Stage) {
        let wire = stage.topology.wire(Part::threads(0), End::Postgres);
        wire.set(Way::Back, Wire::swallowed());
        stage.note("threads-0 gets no answers");
        asked(stage, 0).await;
        let left = stage.left_until_heal();
        undisturbed(stage, left).await;
    }

    async fn heal(&self, stage: &mut Stage) {
        let wire = stage.topology.wire(Part::threads(0), End::Postgres);
        wire.mend().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// Every connection between processes and to the servers goes dead, and nobody is told; new ones work.
struct Stranded;

#[async_trait(?Send)]
impl Scenario for Stranded {
    fn id(&self) -> &'static str {
        "F23S"
    }

    fn title(&self) -> &'static str {
        "every connection dies without a word"
    }

    /// Nobody mends anything: the processes find out by themselves.
    fn recovers_within(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn fault(&self, stage: &mut Stage) {
        let servers = [End::Postgres, End::Redis, End::RabbitMq];
        for end in servers.into_iter().chain(Role::ALL.map(End::Role)) {
            for (_, wire) in stage.topology.wires_to(end) {
                wire.strand();
            }
        }
        stage.note("every connection is dead");
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// Nobody who talks waited longer than a front end does.
fn answered_in_time(stage: &mut Stage, evidence: &Evidence) {
    let errors = evidence.outcome.errors();
    let none = errors.get("no answer").copied().unwrap_or_default();
    stage.expect(none == 0, format!("{none} sends had no answer in 10 s"));
    let fault = probe::on_history(stage, stage.timing.fault);
    let heal = probe::on_history(stage, stage.timing.heal);
    let during = probe::answers(&evidence.story, fault, heal);
    let p99 = percentile(&during, 0.99);
    stage.measured("answer_p99_during_ms", p99.as_secs_f64() * 1000.0);
    for (error, count) in errors {
        stage.note(&format!("{count} times: {error}"));
    }
}
