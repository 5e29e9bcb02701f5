//! The cache goes away, forgets, or does not answer: nobody who talks notices.

use std::time::Duration;

use async_trait::async_trait;

use super::{Scenario, probe};
use crate::runner::{Evidence, Stage};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Crash), Box::new(Flush), Box::new(Frozen)]
}

/// How long the directory may take to be whole again: gateways tell who is there every ten seconds.
const REPAIRED: Duration = Duration::from_secs(30);

/// The keys in which the cache holds who is where.
const DIRECTORY: &str = "confab:*";

/// Waits until the cache knows again who is where.
async fn until_repaired(stage: &mut Stage) {
    let began = std::time::Instant::now();
    loop {
        let keys = stage.servers().redis.command(&["KEYS", DIRECTORY]).await;
        let users = keys.lines().filter(|key| !key.contains("gateways")).count();
        if users >= stage.load.people.len() {
            let took = began.elapsed().as_secs_f64();
            return stage.measured("directory_repaired_s", took);
        }
        if began.elapsed() > REPAIRED {
            return stage.wrong(format!(
                "after {REPAIRED:?} the cache knows of {users} users only"
            ));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// It is killed and comes back with nothing.
struct Crash;

#[async_trait(?Send)]
impl Scenario for Crash {
    fn id(&self) -> &'static str {
        "F12"
    }

    fn title(&self) -> &'static str {
        "Redis crashes and comes back empty"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().redis.kill().await;
        stage.note("killed Redis");
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().redis.run().await;
        stage.note("started Redis");
        until_repaired(stage).await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        probe::unnoticed(stage, evidence);
        probe::delivered_within(stage, evidence, probe::BY_READING);
    }
}

/// It forgets everything from one moment to the next.
struct Flush;

#[async_trait(?Send)]
impl Scenario for Flush {
    fn id(&self) -> &'static str {
        "F13"
    }

    fn title(&self) -> &'static str {
        "Redis forgets everything"
    }

    async fn fault(&self, stage: &mut Stage) {
        while stage.left_until_heal() > Duration::from_secs(1) {
            stage.servers().redis.flush_all().await;
            stage.note("flushed Redis");
            stage.pause(Duration::from_secs(2)).await;
        }
    }

    async fn heal(&self, stage: &mut Stage) {
        until_repaired(stage).await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        probe::unnoticed(stage, evidence);
        probe::delivered_within(stage, evidence, probe::BY_READING);
    }
}

/// It is there and does not answer.
struct Frozen;

#[async_trait(?Send)]
impl Scenario for Frozen {
    fn id(&self) -> &'static str {
        "F14"
    }

    fn title(&self) -> &'static str {
        "Redis is frozen"
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().redis.freeze();
        stage.note("froze Redis");
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().redis.thaw();
        stage.note("thawed Redis");
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        probe::unnoticed(stage, evidence);
        probe::answers_as_before(stage, evidence);
        probe::delivered_within(stage, evidence, probe::BY_READING);
    }
}
