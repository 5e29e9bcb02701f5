//! What tells gateways of new entries is lost, doubled, late, or makes no sense.

use std::time::Duration;

use async_trait::async_trait;
use confab::Role;

use super::Scenario;
use crate::chance::sometimes;
use crate::runner::{Evidence, Stage};
use crate::topology::{Part, copies};
use crate::vitals::{measured, sum};

/// Holes that gateways read from the log.
const REPAIRS: &str = "confab_delivery_repairs_total";
/// Messages of the broker that made no sense.
const MALFORMED: &str = "confab_delivery_malformed_total";

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(RelayCrash), Box::new(BadHints), Box::new(Poison)]
}

/// The sum of a measurement over all gateways.
async fn of_gateways(stage: &Stage, measurement: &str) -> f64 {
    let mut all = 0.0;
    for gateway in 0..stage.topology.gateways() {
        let process = stage.topology.process(Part::gateway(gateway));
        let text = measured(process.metrics()).await.unwrap_or_default();
        all += sum(&text, measurement);
    }
    all
}

/// A replica of threads dies after it has published and before it has noted that, again and again: its successor
/// publishes the same once more.
struct RelayCrash;

/// One batch in four is the last one of its process.
const LAST_WORDS: f64 = 0.25;

/// Decides when a replica dies next. One that died at its first batch would otherwise die there for ever.
fn doom(stage: &mut Stage, part: Part) {
    let point = "after_publish_before_mark";
    let points = sometimes(point, LAST_WORDS, "panic(abort)", &mut stage.rng);
    stage.topology.process_mut(part).fail_at(&points);
}

#[async_trait(?Send)]
impl Scenario for RelayCrash {
    fn id(&self) -> &'static str {
        "F06"
    }

    fn title(&self) -> &'static str {
        "a relay crashes between publishing and noting it"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        let mut deaths = 0;
        for copy in 0..copies(Role::Threads) {
            let part = Part::threads(copy);
            stage.kill(part);
            doom(stage, part);
            stage.start(part).await;
        }
        while !stage.left_until_heal().is_zero() {
            for copy in 0..copies(Role::Threads) {
                let part = Part::threads(copy);
                if !stage.topology.process_mut(part).runs() {
                    deaths += 1;
                    doom(stage, part);
                    stage.start(part).await;
                }
            }
            stage.pause(Duration::from_millis(20)).await;
        }
        stage.measured("deaths", f64::from(deaths));
        stage.expect(deaths > 0, "the relay never died");
    }

    async fn heal(&self, stage: &mut Stage) {
        for copy in 0..copies(Role::Threads) {
            let part = Part::threads(copy);
            stage.kill(part);
            stage.topology.process_mut(part).fail_at("");
            stage.start(part).await;
        }
    }
}

/// A tenth of the hints is lost, and of the others one in three arrives twice and one in three late.
struct BadHints;

#[async_trait(?Send)]
impl Scenario for BadHints {
    fn id(&self) -> &'static str {
        "F19"
    }

    fn title(&self) -> &'static str {
        "hints are lost, doubled and swapped"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn failpoints(&self, rng: &mut fastrand::Rng) -> Vec<(Part, String)> {
        let replicas = (0..copies(Role::Threads)).map(Part::threads);
        let points = [("drop_hint", 0.1), ("dup_hint", 0.3), ("swap_hints", 0.3)];
        let each = replicas.flat_map(|part| points.map(|(point, share)| (part, point, share)));
        each.map(|(part, point, share)| (part, sometimes(point, share, "return", rng)))
            .collect()
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        let repairs = of_gateways(stage, REPAIRS).await;
        stage.measured("repairs", repairs);
        stage.expect(repairs > 0.0, "no gateway had to read a hole");
    }
}

/// Somebody puts what nobody understands into the queues of gateways.
struct Poison;

/// What they put there: nothing, noise, and what begins like an entry.
const NOISE: [&[u8]; 4] = [
    b"",
    b"\xff\xff\xff\xff\xff",
    b"{\"json\":true}",
    &[0x0a, 0x7f, 0x08],
];

#[async_trait(?Send)]
impl Scenario for Poison {
    fn id(&self) -> &'static str {
        "F29"
    }

    fn title(&self) -> &'static str {
        "messages of the broker make no sense"
    }

    async fn fault(&self, stage: &mut Stage) {
        let queues = stage.servers().rabbitmq.queues().await;
        let queues: Vec<_> = queues.iter().filter(|queue| queue.consumers > 0).collect();
        let gateways = stage.topology.gateways();
        stage.expect(
            queues.len() == gateways,
            format!("{gateways} gateways read {queues:?}"),
        );
        for queue in queues {
            for body in NOISE {
                stage.servers().rabbitmq.put(&queue.name, body).await;
            }
        }
        stage.note("the queues are poisoned");
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        let malformed = of_gateways(stage, MALFORMED).await;
        stage.measured("malformed", malformed);
        // A message of no bytes is one of no entries.
        let gateways = f64::from(u32::try_from(stage.topology.gateways()).unwrap_or_default());
        let expected = 3.0 * gateways;
        stage.expect(
            (malformed - expected).abs() < f64::EPSILON,
            format!("{malformed} messages were counted, not {expected}"),
        );
    }

    async fn judge(&self, stage: &mut Stage, _evidence: &Evidence) {
        let restarted = stage.topology.processes();
        let restarted = restarted
            .filter(|(_, process)| process.starts() > 1)
            .count();
        stage.expect(restarted == 0, "a process was started again");
    }
}
