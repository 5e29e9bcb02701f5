//! What scenarios of servers look at: how long sends and deliveries took while something was wrong, and what gateways say.

use std::time::Duration;

use confab_testkit::Rest;
use confab_testkit::history::{Story, What};
use serde_json::Value;
use tokio::time::Instant;

use crate::runner::{Evidence, Stage, percentile};
use crate::topology::Layout;

/// What is compared with twice a baseline of some milliseconds is never asked to be faster: two cores that do other things
/// as well take their breaks.
pub(super) const BRISK: Duration = Duration::from_secs(1);

/// The longest that delivery may take while it goes on by reading, for 99 in 100.
pub(super) const BY_READING: Duration = Duration::from_secs(2);

/// A time on the clock of the history.
pub(super) fn on_history(stage: &Stage, at: Instant) -> Duration {
    stage.now().saturating_sub(at.elapsed())
}

/// From the first attempt to the answer, of what was sent between two times of the history; sorted.
pub(super) fn answers(story: &Story, from: Duration, to: Duration) -> Vec<Duration> {
    times(story, from, to, |what| match what {
        What::Ack { key, .. } => Some(key),
        _ => None,
    })
}

/// From the first attempt to each delivery to somebody else, of what was sent between two times; sorted.
pub(super) fn deliveries(story: &Story, from: Duration, to: Duration) -> Vec<Duration> {
    let mut all = Vec::new();
    let sent = first_attempts(story, from, to);
    for event in &story.events {
        let What::Deliver(message) = &event.what else {
            continue;
        };
        let first = sent.get(message.body.as_str());
        if let Some(first) = first.filter(|_| story.users[event.lineage.0] != message.sender) {
            all.push(event.at.saturating_sub(*first));
        }
    }
    all.sort_unstable();
    all
}

fn first_attempts(
    story: &Story,
    from: Duration,
    to: Duration,
) -> std::collections::HashMap<&str, Duration> {
    let mut sent = std::collections::HashMap::new();
    for event in &story.events {
        if let What::Invoke { key, .. } = &event.what {
            sent.entry(key.as_str()).or_insert(event.at);
        }
    }
    sent.retain(|_, at| (from..to).contains(at));
    sent
}

fn times<'a>(
    story: &'a Story,
    from: Duration,
    to: Duration,
    key: impl Fn(&'a What) -> Option<&'a String>,
) -> Vec<Duration> {
    let mut sent = first_attempts(story, from, to);
    let mut all: Vec<Duration> = story
        .events
        .iter()
        .filter_map(|event| {
            let first = sent.remove(key(&event.what)?.as_str())?;
            Some(event.at.saturating_sub(first))
        })
        .collect();
    all.sort_unstable();
    all
}

/// Nobody notices: nothing is refused, and no socket ends.
pub(super) fn unnoticed(stage: &mut Stage, evidence: &Evidence) {
    let errors = evidence.outcome.errors();
    stage.expect(errors.is_empty(), format!("sends were refused: {errors:?}"));
    let closes = evidence.outcome.closes();
    stage.expect(closes.is_empty(), format!("sockets ended: {closes:?}"));
    let silences = evidence.outcome.silences();
    stage.expect(silences == 0, format!("{silences} sockets fell silent"));
}

/// Sends are answered within twice the time that they took before, for 99 in 100.
pub(super) fn answers_as_before(stage: &mut Stage, evidence: &Evidence) {
    let fault = on_history(stage, stage.timing.fault);
    let heal = on_history(stage, stage.timing.heal);
    let before = percentile(&answers(&evidence.story, Duration::ZERO, fault), 0.99);
    let during = percentile(&answers(&evidence.story, fault, heal), 0.99);
    stage.measured("answer_p99_before_ms", before.as_secs_f64() * 1000.0);
    stage.measured("answer_p99_during_ms", during.as_secs_f64() * 1000.0);
    let most = BRISK.max(before * 2);
    stage.expect(
        during <= most,
        format!("99 in 100 sends were answered within {during:?}, {before:?} before"),
    );
}

/// What was sent while something was wrong arrived in time, for 99 in 100.
pub(super) fn delivered_within(stage: &mut Stage, evidence: &Evidence, most: Duration) {
    let fault = on_history(stage, stage.timing.fault);
    let heal = on_history(stage, stage.timing.heal);
    let during = percentile(&deliveries(&evidence.story, fault, heal), 0.99);
    stage.measured("delivery_p99_during_ms", during.as_secs_f64() * 1000.0);
    stage.expect(
        during <= most,
        format!("99 in 100 messages arrived within {during:?}, which may take {most:?}"),
    );
}

/// What a gateway answers, past its doors: the status and the body; none when it does not in three seconds.
pub(super) async fn ask(stage: &Stage, gateway: usize, path: &str) -> Option<(u16, Value)> {
    let rest = Rest::anonymous(stage.topology.gateway(gateway));
    let asked = tokio::time::timeout(Duration::from_secs(3), rest.get(path));
    asked.await.ok()
}

/// Waits until every gateway says that something is missing, or no longer, and says how long that took.
pub(super) async fn until_degraded(
    stage: &mut Stage,
    degraded: bool,
    within: Duration,
) -> Option<Duration> {
    let began = Instant::now();
    let gateways = match stage.topology.layout() {
        Layout::Split => 0..stage.topology.gateways(),
        Layout::One => 0..0,
    };
    for gateway in gateways {
        loop {
            let said = ask(stage, gateway, "/readyz").await;
            if let Some((200, body)) = &said
                && (body["status"] == "degraded") == degraded
            {
                break;
            }
            if began.elapsed() > within {
                stage.wrong(format!(
                    "gateway {gateway} says {said:?} after {within:?}; degraded should be {degraded}"
                ));
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let took = began.elapsed();
    stage.note(&format!("degraded is {degraded} after {took:?}"));
    Some(took)
}
