//! What is between front ends and gateways goes wrong, or a gateway stops answering without being gone.

use std::time::Duration;

use async_trait::async_trait;
use confab_testkit::people::{Dialect, From, open};
use confab_testkit::{Received, Way, Wire};
use tokio::time::{Instant, timeout};

use super::Scenario;
use crate::load::Load;
use crate::runner::{Evidence, Stage, percentile};
use crate::topology::{DOORS, Part};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(Network),
        Box::new(Zombies),
        Box::new(ReconnectStorm),
    ]
}

/// Between two pings, as the topology's settings say.
const PING: Duration = Duration::from_secs(2);

/// The network of front ends is bad in every way.
struct Network;

/// What can be wrong with a wire.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Reset,
    Closed,
    CutInTheMiddle(usize),
    Slow,
    Narrow,
    Sliced,
    Lost(Way),
}

impl Trouble {
    fn any(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(0..8) {
            0 => Self::Reset,
            1 => Self::Closed,
            2 => Self::CutInTheMiddle(rng.usize(1..400)),
            3 => Self::Slow,
            4 => Self::Narrow,
            5 => Self::Sliced,
            6 => Self::Lost(Way::There),
            _ => Self::Lost(Way::Back),
        }
    }
}

#[async_trait(?Send)]
impl Scenario for Network {
    fn id(&self) -> &'static str {
        "F20"
    }

    fn title(&self) -> &'static str {
        "the network of front ends is bad in every way"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn recovers_within(&self) -> Duration {
        Duration::from_secs(8)
    }

    async fn fault(&self, stage: &mut Stage) {
        let gateways = stage.topology.gateways();
        while !stage.left_until_heal().is_zero() {
            let gateway = stage.rng.usize(0..gateways);
            let number = stage.rng.usize(0..DOORS);
            let trouble = Trouble::any(&mut stage.rng);
            stage.note(&format!(
                "{trouble:?} at door {number} of gateway {gateway}"
            ));
            let door = stage.topology.door(gateway, number);
            door.mend().await;
            match trouble {
                Trouble::Reset => door.reset(),
                Trouble::Closed => door.close(),
                Trouble::CutInTheMiddle(bytes) => door.set(
                    Way::Back,
                    Wire {
                        cut_after: Some(bytes),
                        ..Wire::default()
                    },
                ),
                Trouble::Slow => {
                    let wire = Wire {
                        latency: Duration::from_millis(300),
                        jitter: Duration::from_millis(200),
                        ..Wire::default()
                    };
                    for way in Way::BOTH {
                        door.set(way, wire);
                    }
                }
                Trouble::Narrow => door.set(
                    Way::Back,
                    Wire {
                        bytes_per_second: Some(8 * 1024),
                        ..Wire::default()
                    },
                ),
                Trouble::Sliced => {
                    let wire = Wire {
                        piece: Some(1),
                        ..Wire::default()
                    };
                    for way in Way::BOTH {
                        door.set(way, wire);
                    }
                }
                Trouble::Lost(way) => door.set(way, Wire::swallowed()),
            }
            let pause = stage.rng.u64(100..500);
            stage.pause(Duration::from_millis(pause)).await;
        }
    }

    async fn heal(&self, stage: &mut Stage) {
        for door in stage.topology.doors() {
            door.mend().await;
        }
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let away = evidence.measures.outages.len();
        stage.expect(away > 0, "no socket was disturbed");
    }
}

/// A gateway is frozen for longer than anybody waits, and a front end does not answer pings.
struct Zombies;

#[async_trait(?Send)]
impl Scenario for Zombies {
    fn id(&self) -> &'static str {
        "F22"
    }

    fn title(&self) -> &'static str {
        "a gateway freezes, and a front end is there no more"
    }

    async fn fault(&self, stage: &mut Stage) {
        let part = Part::gateway(0);
        stage.freeze(part);
        a_silent_front_end_is_closed(stage).await;
        stage.until_heal().await;
        stage.thaw(part);
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let silences = evidence.outcome.silences();
        stage.expect(silences > 0, "nobody left the frozen gateway");
        let away = percentile(&evidence.measures.outages, 0.99);
        let most = Duration::from_secs(1);
        stage.expect(
            away <= most,
            format!("sockets were away for {away:?} once they had left, which may be {most:?}"),
        );
    }
}

/// At the gateway that is not frozen, somebody neither reads nor answers: the gateway ends that socket.
async fn a_silent_front_end_is_closed(stage: &mut Stage) {
    let person = stage.load.people[0].clone();
    let address = stage.topology.gateway(1);
    let socket = open(address, Dialect::Direct, &person, &From::Now).await;
    let Ok(mut socket) = socket else {
        return stage.wrong("the gateway that is not frozen takes nobody");
    };
    // A pong is only sent while somebody reads.
    stage.pause(4 * PING).await;
    let ended = timeout(PING, async {
        while let Received::Frame(_) = socket.receive().await {}
    });
    let ended = ended.await.is_ok();
    stage.expect(ended, "a front end that answers no ping keeps its socket");
}

/// All sockets end at once, again and again, with one gateway left to take them.
struct ReconnectStorm;

/// Within this time everybody is back.
const BACK: Duration = Duration::from_secs(15);

#[async_trait(?Send)]
impl Scenario for ReconnectStorm {
    fn id(&self) -> &'static str {
        "F25"
    }

    fn title(&self) -> &'static str {
        "everybody comes back at once, at one gateway"
    }

    fn load(&self) -> Load {
        Load {
            listeners: 200,
            sends_per_second: 10.0,
            ..Load::default()
        }
    }

    fn recovers_within(&self) -> Duration {
        BACK
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.kill(Part::gateway(1));
        for _ in 0..2 {
            for door in stage.topology.doors() {
                door.reset();
            }
            stage.note("reset all");
            let began = Instant::now();
            // Those that noticed nothing yet are still counted.
            stage.pause(Duration::from_millis(200)).await;
            let conductor = stage.load.conductor.clone();
            let back = conductor.until(|tally| tally.connected == tally.walkers);
            if timeout(BACK, back).await.is_err() {
                let tally = conductor.tally();
                stage.wrong(format!("{tally:?} after {BACK:?}"));
            }
            let took = began.elapsed();
            stage.note(&format!("all are back after {took:?}"));
            stage.measured("back_ms", took.as_secs_f64() * 1000.0);
        }
        stage.start(Part::gateway(1)).await;
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let away = percentile(&evidence.measures.outages, 0.99);
        stage.expect(away <= BACK, format!("sockets were away for {away:?}"));
    }
}
