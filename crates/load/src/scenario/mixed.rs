//! A mixed day: several loads at once, on one target, each with its share of the sockets and of what is done.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{Findings, Stage, play_one};
use crate::LoadError;
use crate::options::{Plan, Scenario};

/// A part of the day.
struct Share {
    scenario: Scenario,
    /// Of the sockets, in percent.
    sockets: usize,
    /// Of what is done in a second, in percent.
    rate: f64,
}

/// The day. Who asks and who reads has a connection for each that does so at a time.
const DAY: [Share; 6] = [
    share(Scenario::Direct, 20, 60.0),
    share(Scenario::Room, 14, 10.0),
    share(Scenario::History, 2, 15.0),
    share(Scenario::Ask, 2, 10.0),
    share(Scenario::Reconnect, 2, 5.0),
    share(Scenario::Idle, 60, 0.0),
];

const fn share(scenario: Scenario, sockets: usize, rate: f64) -> Share {
    Share {
        scenario,
        sockets,
        rate,
    }
}

/// The parts of a planned day.
pub(super) fn divide(day: &Plan) -> Vec<Plan> {
    let part = |share: &Share| {
        let rate = day.rate.unwrap_or_default() * share.rate / 100.0;
        let even = |count: usize| (count / 2 * 2).max(2);
        let people = even(day.people * share.sockets / 100);
        let sockets = (day.sockets * share.sockets / 100).max(people);
        Plan {
            name: None,
            scenario: share.scenario,
            dialect: share.scenario.dialect(),
            rate: (share.rate > 0.0).then_some(rate),
            duration: day.duration,
            // As many for each person.
            sockets: sockets / people * people,
            people,
            messages: day.messages,
        }
    };
    DAY.iter().map(part).collect()
}

pub(super) async fn play(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let (parts, ready) = stage.divide(divide(&stage.plan));
    let course = async {
        ready.wait().await;
        let course = stage.course();
        tokio::time::sleep_until(course.end).await;
        Ok(stage.used_since(&course))
    };
    let playing = try_join_all(parts.iter().map(play_one));
    let (used, played) = tokio::try_join!(course, playing)?;
    let mut findings = Findings::of(0, used);
    for (part, found) in parts.iter().zip(played) {
        // Who only stays does nothing.
        let counted = if found.holds_sockets { 0 } else { part.done() };
        findings.absorb(part.plan.title(), Findings { counted, ..found });
    }
    Ok(findings)
}
