//! Clocks that are wrong, each in another way.

use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::Scenario;
use crate::runner::{Evidence, Stage};
use crate::supervisor::clock_library;
use crate::topology::Part;

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(WrongClocks)]
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// By how much the time in a log may be off what it is said to be.
const OFF: i64 = MINUTE;

/// One replica of threads is an hour ahead and is set back by ten minutes while people talk, a gateway is an hour behind, a
/// replica of sessions is five minutes ahead, one of completions is two minutes ahead. Nobody notices: order comes from the log,
/// keys are as long-lived as what they stand for, and who still works on an answer is told by what they do, not by the time.
struct WrongClocks;

#[async_trait(?Send)]
impl Scenario for WrongClocks {
    fn id(&self) -> &'static str {
        "F27"
    }

    fn title(&self) -> &'static str {
        "clocks are wrong, and one is set back"
    }

    fn missing(&self) -> Option<String> {
        let missing = clock_library().is_none();
        missing.then(|| "it takes libfaketime (Debian: apt-get install libfaketime)".to_owned())
    }

    fn clocks(&self) -> Vec<(Part, i64)> {
        vec![
            (Part::threads(0), HOUR),
            (Part::gateway(0), -HOUR),
            (Part::sessions(0), 5 * MINUTE),
            (Part::completions(0), 2 * MINUTE),
        ]
    }

    async fn fault(&self, stage: &mut Stage) {
        let part = Part::threads(0);
        stage.note("set back by ten minutes");
        stage
            .topology
            .process_mut(part)
            .set_clock(HOUR - 10 * MINUTE);
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        super::probe::unnoticed(stage, evidence);
        let states = evidence.states();
        let whole = !states.is_empty() && states.keys().all(|state| state == "complete");
        stage.expect(whole, format!("answers ended otherwise: {states:?}"));
        let mut expected = self.clocks();
        expected[0].1 -= 10 * MINUTE;
        // Otherwise nothing was shown.
        for (part, seconds) in expected {
            let log = stage.topology.process(part).log();
            let found = ahead(&log);
            let wrong = found.is_some_and(|found| (found - seconds).abs() <= OFF);
            stage.expect(
                wrong,
                format!("the clock of {part} was to be {seconds} s ahead and was {found:?}"),
            );
        }
    }
}

/// By how many seconds the last line of a log was written ahead of now, as its file says when that was.
fn ahead(log: &Path) -> Option<i64> {
    let written: DateTime<Utc> = log.metadata().ok()?.modified().ok()?.into();
    let text = std::fs::read_to_string(log).ok()?;
    let mut times = text.lines().rev().filter_map(|line| {
        let time = line.split_whitespace().next()?;
        DateTime::parse_from_rfc3339(time).ok()
    });
    let last = times.next()?;
    Some((last.to_utc() - written).num_seconds())
}
