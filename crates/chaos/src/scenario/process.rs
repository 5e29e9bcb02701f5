//! Processes end at once, as if somebody had pulled a plug.

use std::time::Duration;

use async_trait::async_trait;
use confab_testkit::openai::Reply;
use confab_testkit::{Rest, integrity};
use serde_json::json;
use tokio::time::Instant;

use super::Scenario;
use crate::load::Load;
use crate::runner::{Evidence, Stage, percentile};
use crate::topology::{Layout, Part, copies};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(Gateway),
        Box::new(Threads),
        Box::new(Sessions),
        Box::new(Completions),
        Box::new(AllInOne),
    ]
}

/// What sends may be answered with while something that they need is away: that they can be tried again.
const AWAY: [&str; 4] = [
    "Service unavailable",
    "An error occurred while creating the message. Please try again later.",
    "An unexpected error occurred. Please try again later.",
    "no answer",
];

/// Nobody was told for good that something was not stored.
fn only_away(stage: &mut Stage, evidence: &Evidence) {
    for (error, count) in evidence.outcome.errors() {
        let allowed = AWAY.contains(&error.as_str());
        stage.expect(allowed, format!("{count} sends were answered {error:?}"));
    }
}

/// Every answer that was begun has an end, and every end is a whole answer.
fn all_answered(stage: &mut Stage, evidence: &Evidence) {
    let states = evidence.states();
    let whole = states.keys().all(|state| state == "complete");
    stage.expect(whole, format!("answers ended otherwise: {states:?}"));
    stage.expect(!states.is_empty(), "nobody was answered");
}

/// One gateway is killed and comes back after a while: whoever was there goes on at the other one.
struct Gateway;

/// How soon whoever was at a gateway that died is to be at another one, 99 in 100.
const ELSEWHERE: Duration = Duration::from_secs(3);

#[async_trait(?Send)]
impl Scenario for Gateway {
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

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let away = percentile(&evidence.measures.outages, 0.99);
        stage.expect(!away.is_zero(), "nobody was at the gateway that died");
        let what = format!("sockets were away for {away:?}, which may be {ELSEWHERE:?}");
        stage.expect(away <= ELSEWHERE, what);
        only_away(stage, evidence);
        all_answered(stage, evidence);
    }
}

/// The replicas of threads are killed in turn, again and again.
struct Threads;

#[async_trait(?Send)]
impl Scenario for Threads {
    fn id(&self) -> &'static str {
        "F02"
    }

    fn title(&self) -> &'static str {
        "the replicas of threads crash in turn"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn load(&self) -> Load {
        Load {
            sends_per_second: 40.0,
            ..Load::default()
        }
    }

    async fn fault(&self, stage: &mut Stage) {
        let mut copy = 0;
        while stage.left_until_heal() > Duration::from_secs(1) {
            let part = Part::threads(copy);
            stage.kill(part);
            stage.pause(Duration::from_millis(500)).await;
            stage.start(part).await;
            stage.pause(Duration::from_secs(1)).await;
            copy = 1 - copy;
        }
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        only_away(stage, evidence);
        all_answered(stage, evidence);
    }
}

/// Both replicas of sessions are killed and stay away for a while: who is in goes on, nobody comes in.
struct Sessions;

#[async_trait(?Send)]
impl Scenario for Sessions {
    fn id(&self) -> &'static str {
        "F03"
    }

    fn title(&self) -> &'static str {
        "all of sessions is away"
    }

    fn recovers_within(&self) -> Duration {
        Duration::from_secs(3)
    }

    async fn fault(&self, stage: &mut Stage) {
        let parts = [0, 1].map(Part::sessions);
        let began = Instant::now();
        let before = stage.load.conductor.tally().acknowledged;
        for part in parts {
            stage.kill(part);
        }
        while began.elapsed() < Duration::from_secs(5).min(stage.length().mul_f64(0.3)) {
            nobody_comes_in(stage).await;
            stage.pause(Duration::from_millis(500)).await;
        }
        let talked = stage.load.conductor.tally().acknowledged - before;
        stage.note(&format!("{talked} sends acknowledged meanwhile"));
        stage.expect(talked > 0, "open sockets did not go on");
        for part in parts {
            stage.start(part).await;
        }
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let closes = evidence.outcome.closes();
        stage.expect(closes.is_empty(), format!("sockets ended: {closes:?}"));
        let errors = evidence.outcome.errors();
        stage.expect(errors.is_empty(), format!("sends were refused: {errors:?}"));
        all_answered(stage, evidence);
    }
}

/// While nobody can say who somebody is, a sign-in is to come back later, and a token that is none opens nothing.
async fn nobody_comes_in(stage: &mut Stage) {
    for gateway in 0..stage.topology.gateways() {
        let address = stage.topology.gateway(gateway);
        let rest = Rest::anonymous(address);
        let credentials = json!({ "username": "somebody", "password": "correct horse battery" });
        let (status, later) = rest
            .post_for("/auth/login", &credentials, "retry-after")
            .await;
        if status != 503 || later.is_none() {
            stage.wrong(format!(
                "a sign-in is answered {status}, come back: {later:?}"
            ));
        }
        let forged = rest.of(address, "forged");
        let (status, body) = forged.get("/auth/me").await;
        if status < 400 {
            stage.wrong(format!("a token that is none is answered {status}: {body}"));
        }
    }
}

/// The processes that answer are killed in the middle of answers.
struct Completions;

/// Words of answers, one for each, so that it shows when two of them are mixed.
const WORDS: [&str; 7] = ["one ", "two ", "three ", "four ", "five ", "six ", "seven "];

#[async_trait(?Send)]
impl Scenario for Completions {
    fn id(&self) -> &'static str {
        "F05"
    }

    fn title(&self) -> &'static str {
        "the processes that answer crash in the middle of answers"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn load(&self) -> Load {
        Load {
            askers: 10,
            sends_per_second: 10.0,
            ..Load::default()
        }
    }

    fn recovers_within(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn fault(&self, stage: &mut Stage) {
        let words = WORDS.iter().cycle().take(500);
        stage
            .provider
            .script(words.map(|word| Reply::Slow(vec![word; 100], 20, 100)));
        stage.pause(Duration::from_secs(1)).await;
        for copy in 0..copies(confab::Role::Completions) {
            let part = Part::completions(copy);
            stage.kill(part);
            stage.pause(Duration::from_millis(1500)).await;
            stage.start(part).await;
        }
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let answers = evidence
            .outcome
            .asked
            .iter()
            .flat_map(|asked| &asked.answers);
        let longest = answers.clone().map(|answer| answer.took).max();
        let longest = longest.unwrap_or_default();
        let restarted = answers.filter(|answer| answer.restarted).count();
        stage.measured("longest_answer_ms", longest.as_secs_f64() * 1000.0);
        #[expect(clippy::cast_precision_loss, reason = "answers are few")]
        stage.measured("told_of_restart", restarted as f64);
        let open = evidence.states().get("open").copied().unwrap_or_default();
        stage.expect(open == 0, format!("{open} answers have no end"));
    }
}

/// Everything in one process on SQLite is killed again and again.
struct AllInOne;

#[async_trait(?Send)]
impl Scenario for AllInOne {
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

    fn load(&self) -> Load {
        Load {
            sends_per_second: 60.0,
            ..Load::default()
        }
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

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        only_away(stage, evidence);
        for role in [
            "sessions",
            "threads",
            "attachments",
            "completions",
            "search",
        ] {
            let file = stage.topology.folder().join(format!("{role}.db"));
            let said = integrity(&file).await;
            stage.expect(said == "ok", format!("{} is {said}", file.display()));
        }
    }
}
