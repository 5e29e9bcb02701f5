//! Processes end at once, as if somebody had pulled a plug.

use std::time::Duration;

use async_trait::async_trait;

use super::Scenario;
use crate::runner::Stage;
use crate::topology::{Layout, Part};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(GatewayCrash), Box::new(AllInOneCrashes)]
}

/// One gateway is killed and comes back after a while: whoever was there goes on at the other one.
struct GatewayCrash;

#[async_trait(?Send)]
impl Scenario for GatewayCrash {
    fn id(&self) -> &'static str {
        "F01"
    }

    fn title(&self) -> &'static str {
        "a gateway crashes"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        let part = Part::gateway(0);
        stage.kill(part);
        stage.pause(Duration::from_secs(3)).await;
        stage.start(part).await;
        stage.until_heal().await;
    }
}

/// Everything in one process on SQLite is killed again and again.
struct AllInOneCrashes;

#[async_trait(?Send)]
impl Scenario for AllInOneCrashes {
    fn id(&self) -> &'static str {
        "F34"
    }

    fn title(&self) -> &'static str {
        "all in one on SQLite crashes every two seconds"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn layout(&self) -> Layout {
        Layout::One
    }

    async fn fault(&self, stage: &mut Stage) {
        let part = Part::gateway(0);
        while stage.left_until_heal() > Duration::from_secs(1) {
            stage.kill(part);
            stage.start(part).await;
            stage.pause(Duration::from_secs(2)).await;
        }
        stage.until_heal().await;
    }
}
