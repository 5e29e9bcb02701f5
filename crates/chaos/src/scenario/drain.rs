//! A deploy: every process is asked to end, one after another, and started again.

use std::time::Duration;

use async_trait::async_trait;

use super::Scenario;
use crate::runner::{Evidence, Stage};
use crate::topology::Part;

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(RollingRestart)]
}

/// What a socket is closed with so that its front end comes back.
const COME_BACK: Option<u16> = Some(1012);

/// As `shutdown.grace_seconds` says, and a little for the rest.
const GRACE: Duration = Duration::from_secs(12);

/// Every process is replaced in order.
struct RollingRestart;

#[async_trait(?Send)]
impl Scenario for RollingRestart {
    fn id(&self) -> &'static str {
        "F24"
    }

    fn title(&self) -> &'static str {
        "a rolling restart"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        let parts: Vec<Part> = Part::all().collect();
        for part in parts {
            let (took, well) = stage.stop(part).await;
            stage.expect(well, format!("{part} did not end in order"));
            stage.expect(took <= GRACE, format!("{part} took {took:?} to end"));
            stage.start(part).await;
        }
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let closes = evidence.outcome.closes();
        let quiet = closes.keys().all(|code| *code == COME_BACK);
        stage.expect(quiet, format!("sockets ended otherwise: {closes:?}"));
        stage.expect(!closes.is_empty(), "no socket was asked to come back");
        let states = evidence.states();
        let whole = states.keys().all(|state| state == "complete");
        stage.expect(whole, format!("answers ended otherwise: {states:?}"));
        let answers = evidence
            .outcome
            .asked
            .iter()
            .flat_map(|asked| &asked.answers);
        let restarted = answers.filter(|answer| answer.restarted).count();
        stage.expect(
            restarted == 0,
            format!("{restarted} answers were begun anew"),
        );
    }
}
