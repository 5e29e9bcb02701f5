//! The broker goes away, takes nothing, or loses its queues: it only made things faster.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use confab::Role;
use confab_testkit::Queue;

use super::{Scenario, probe};
use crate::runner::{Evidence, Stage};
use crate::topology::{Part, copies};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(Crash),
        Box::new(Absent),
        Box::new(Blocked),
        Box::new(Accidents),
    ]
}

/// How long processes may take to notice that the broker takes nothing, or does so again.
const NOTICED: Duration = Duration::from_secs(5);

/// Each gateway reads a queue of its own, none of which is one of `old`; how long it took until that was so.
async fn until_read(stage: &mut Stage, old: &[Queue], within: Duration) -> Option<Duration> {
    let began = Instant::now();
    loop {
        let queues = stage.servers().rabbitmq.queues().await;
        let read = queues.iter().all(|queue| queue.consumers == 1);
        let new = queues
            .iter()
            .all(|queue| old.iter().all(|old| old.name != queue.name));
        if read && new && queues.len() == stage.topology.gateways() {
            let took = began.elapsed();
            stage.note(&format!("each gateway reads a queue after {took:?}"));
            return Some(took);
        }
        if began.elapsed() > within {
            stage.wrong(format!("after {within:?} the queues are {queues:?}"));
            return None;
        }
    }
}

/// Sends and deliveries go on while the broker is of no use.
fn goes_on(stage: &mut Stage, evidence: &Evidence) {
    probe::unnoticed(stage, evidence);
    probe::delivered_within(stage, evidence, probe::BY_READING);
}

/// The node is killed and comes back.
struct Crash;

#[async_trait(?Send)]
impl Scenario for Crash {
    fn id(&self) -> &'static str {
        "F15"
    }

    fn title(&self) -> &'static str {
        "RabbitMQ crashes and comes back"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().rabbitmq.kill();
        stage.note("killed RabbitMQ");
        probe::until_degraded(stage, true, NOTICED).await;
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().rabbitmq.run().await;
        stage.note("started RabbitMQ");
        if let Some(took) = probe::until_degraded(stage, false, NOTICED).await {
            stage.measured("reconnected_s", took.as_secs_f64());
        }
        until_read(stage, &[], NOTICED).await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        goes_on(stage, evidence);
    }
}

/// Every process starts while there is no broker.
struct Absent;

#[async_trait(?Send)]
impl Scenario for Absent {
    fn id(&self) -> &'static str {
        "F16"
    }

    fn title(&self) -> &'static str {
        "everything starts before RabbitMQ"
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().rabbitmq.kill();
        stage.note("killed RabbitMQ");
        for part in Part::all() {
            stage.kill(part);
        }
        for part in Part::all() {
            stage.start(part).await;
        }
        probe::until_degraded(stage, true, NOTICED).await;
        let starts: Vec<usize> = stage
            .topology
            .processes()
            .map(|(_, process)| process.starts())
            .collect();
        stage.until_heal().await;
        for part in Part::all() {
            let runs = stage.topology.process_mut(part).runs();
            stage.expect(runs, format!("{part} ended without the broker"));
        }
        let again: Vec<usize> = stage
            .topology
            .processes()
            .map(|(_, process)| process.starts())
            .collect();
        stage.expect(starts == again, "something was started again");
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().rabbitmq.run().await;
        stage.note("started RabbitMQ");
        probe::until_degraded(stage, false, NOTICED).await;
        until_read(stage, &[], NOTICED).await;
    }
}

/// The node is short of memory and reads nothing from those who publish.
struct Blocked;

#[async_trait(?Send)]
impl Scenario for Blocked {
    fn id(&self) -> &'static str {
        "F17"
    }

    fn title(&self) -> &'static str {
        "RabbitMQ blocks those who publish"
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().rabbitmq.block().await;
        stage.note("blocked");
        probe::until_degraded(stage, true, NOTICED).await;
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().rabbitmq.unblock().await;
        stage.note("unblocked");
        probe::until_degraded(stage, false, NOTICED).await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        goes_on(stage, evidence);
        probe::answers_as_before(stage, evidence);
    }
}

/// Somebody deletes the queue of one gateway, empties that of the other one, and puts nonsense into both.
struct Accidents;

/// How long a gateway may take to read a queue again whose old one was deleted, with the seconds that asking for it takes.
const DECLARED_AGAIN: Duration = Duration::from_secs(5);

#[async_trait(?Send)]
impl Scenario for Accidents {
    fn id(&self) -> &'static str {
        "F18"
    }

    fn title(&self) -> &'static str {
        "queues are deleted, emptied and fed nonsense"
    }

    /// What was lost is found by comparing with the log.
    fn recovers_within(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn fault(&self, stage: &mut Stage) {
        let old = stage.servers().rabbitmq.queues().await;
        stage.expect(
            old.len() == copies(Role::Gateway),
            format!("the queues are {old:?}"),
        );
        for queue in &old {
            let nonsense = b"\xff\xfe no message of ours";
            stage.servers().rabbitmq.put(&queue.name, nonsense).await;
        }
        stage.note("put nonsense into the queues");
        if let Some(queue) = old.first() {
            stage.servers().rabbitmq.purge_queue(&queue.name).await;
            stage.note("purged a queue");
        }
        for queue in &old {
            stage.servers().rabbitmq.delete_queue(&queue.name).await;
            stage.note("deleted a queue");
        }
        if let Some(took) = until_read(stage, &old, DECLARED_AGAIN).await {
            stage.measured("declared_again_s", took.as_secs_f64());
        }
        probe::until_degraded(stage, false, NOTICED).await;
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        goes_on(stage, evidence);
        for gateway in 0..stage.topology.gateways() {
            let log = stage.topology.process(Part::gateway(gateway)).log();
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let said = log.contains("a message of the broker made no sense");
            stage.expect(
                said,
                format!("gateway {gateway} did not say that it was sent nonsense"),
            );
        }
    }
}
