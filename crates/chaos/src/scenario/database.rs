//! The database goes away, loses connections, answers late or not at all: what was acknowledged is there.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use confab::Role;
use confab_testkit::history::What;
use confab_testkit::{Way, Wire};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Scenario, probe};
use crate::runner::{Evidence, Stage};
use crate::topology::{DOORS, End, Part, copies};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(Crash),
        Box::new(Storm),
        Box::new(Ambiguous),
        Box::new(Slow),
        Box::new(Locked),
        Box::new(Frozen),
        Box::new(Exhausted),
    ]
}

/// Nobody waits longer for an answer than this, whatever the database does: what a front end of ours allows.
const ANSWERED: Duration = Duration::from_secs(10);

/// Sends were answered, well or not, before a front end would have given up.
fn answered_in_time(stage: &mut Stage, evidence: &Evidence) {
    let errors = evidence.outcome.errors();
    let none = errors.get("no answer").copied().unwrap_or_default();
    stage.expect(
        none == 0,
        format!("{none} sends had no answer in {ANSWERED:?}"),
    );
    for (error, count) in errors {
        stage.note(&format!("{count} times: {error}"));
    }
}

/// No process ended by itself.
fn all_run(stage: &mut Stage) {
    for part in Part::all() {
        let runs = stage.topology.process_mut(part).runs();
        stage.expect(runs, format!("{part} ended"));
    }
}

/// Sends whose outcome was unknown for a while.
fn doubted(evidence: &Evidence) -> usize {
    let events = evidence.story.events.iter();
    let doubted: BTreeSet<_> = events
        .filter_map(|event| match &event.what {
            What::Unknown { key } => Some(key),
            _ => None,
        })
        .collect();
    doubted.len()
}

/// The server and all it started are killed, three times.
struct Crash;

#[async_trait(?Send)]
impl Scenario for Crash {
    fn id(&self) -> &'static str {
        "F07"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL crashes three times"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        let pause = stage.left_until_heal() / 4;
        for _ in 0..3 {
            stage.servers().postgres.kill().await;
            stage.note("killed PostgreSQL");
            stage.servers().postgres.run().await;
            stage.note("started PostgreSQL");
            stage.pause(pause).await;
        }
        all_run(stage);
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// Every connection is ended by the server, once a second.
struct Storm;

#[async_trait(?Send)]
impl Scenario for Storm {
    fn id(&self) -> &'static str {
        "F08"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL ends every connection each second"
    }

    fn recovers_within(&self) -> Duration {
        Duration::from_secs(3)
    }

    async fn fault(&self, stage: &mut Stage) {
        let mut ended = 0;
        while stage.left_until_heal() > Duration::from_secs(1) {
            let servers = stage.servers();
            let database = servers.last_database();
            ended += servers.postgres.terminate_backends(&database).await;
            stage.note("ended every connection");
            stage.pause(Duration::from_secs(1)).await;
        }
        stage.expect(ended > 0, "there was no connection to end");
        all_run(stage);
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// A commit is done, and nobody is told: whoever asked tries again elsewhere, with the same key.
struct Ambiguous;

/// What a transaction ends with.
const COMMIT: &[u8] = b"COMMIT";

impl Ambiguous {
    /// Takes the answers to commits from one process of each role that commits, until somebody has tried elsewhere.
    async fn round(stage: &mut Stage, copy: usize) {
        let parts = [
            Part::threads(copy),
            Part::sessions(copy),
            Part::completions(copy),
        ];
        let before: Vec<usize> = parts
            .iter()
            .map(|part| {
                let wire = stage.topology.wire(*part, End::Postgres);
                wire.hold_after(COMMIT);
                wire.held()
            })
            .collect();
        let threads = stage.topology.wire(parts[0], End::Postgres);
        let held = tokio::time::timeout(Duration::from_secs(5), threads.until_held(before[0] + 1));
        if held.await.is_err() {
            stage.wrong(format!("{} commits nothing", parts[0]));
        }
        stage.note(&format!("answers to the commits of {} are held", parts[0]));
        // The commit itself is done by now; its callers go elsewhere.
        stage.pause(Duration::from_millis(300)).await;
        for door in 0..DOORS {
            stage.topology.door(copy, door).cut();
        }
        stage.pause(Duration::from_millis(700)).await;
        let mut held = 0;
        for (part, before) in parts.iter().zip(before) {
            let wire = stage.topology.wire(*part, End::Postgres);
            held += wire.held() - before;
            wire.reset();
            wire.mend().await;
        }
        for door in 0..DOORS {
            stage.topology.door(copy, door).mend().await;
        }
        stage.note(&format!("lost the answers on {held} connections"));
    }
}

#[async_trait(?Send)]
impl Scenario for Ambiguous {
    fn id(&self) -> &'static str {
        "F09"
    }

    fn title(&self) -> &'static str {
        "commits whose answers are lost"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    async fn fault(&self, stage: &mut Stage) {
        let mut copy = 0;
        while stage.left_until_heal() > Duration::from_secs(1) {
            Self::round(stage, copy).await;
            copy = (copy + 1) % copies(Role::Threads);
        }
        all_run(stage);
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
        let doubted = doubted(evidence);
        stage.expect(doubted > 0, "no send was ever in doubt");
        let repeated = evidence
            .outcome
            .asked
            .iter()
            .flat_map(|asked| &asked.answers);
        for answer in repeated.filter(|answer| answer.runs.len() > 1) {
            let runs = &answer.runs;
            stage.wrong(format!("{} had more than one run: {runs:?}", answer.key));
        }
    }
}

/// Everything between the processes that store messages and the database takes its time.
struct Slow;

#[async_trait(?Send)]
impl Scenario for Slow {
    fn id(&self) -> &'static str {
        "F10"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL is far away"
    }

    async fn fault(&self, stage: &mut Stage) {
        for copy in 0..copies(Role::Threads) {
            for way in Way::BOTH {
                let wire = stage.topology.wire(Part::threads(copy), End::Postgres);
                wire.set(way, Wire::slow(Duration::from_millis(400)));
            }
        }
        stage.note("each way to PostgreSQL takes 400 ms");
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        for copy in 0..copies(Role::Threads) {
            let wire = stage.topology.wire(Part::threads(copy), End::Postgres);
            wire.mend().await;
        }
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// Somebody else holds a lock on the table of messages.
struct Locked;

#[async_trait(?Send)]
impl Scenario for Locked {
    fn id(&self) -> &'static str {
        "F10L"
    }

    fn title(&self) -> &'static str {
        "somebody locks the table of messages"
    }

    async fn fault(&self, stage: &mut Stage) {
        let left = stage.left_until_heal().as_secs_f64();
        let servers = stage.servers();
        let database = servers.last_database();
        let query = format!("BEGIN; LOCK TABLE message; SELECT pg_sleep({left}); ROLLBACK");
        let mut lock = servers.postgres.begin(&database, &query);
        stage.note("locked the table");
        let well = lock.until_ended().await;
        stage.note("gave the lock back");
        stage.expect(well, "the table was not locked to the end");
        all_run(stage);
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
    }
}

/// The server is there and does nothing; what it was asked it does later.
struct Frozen;

#[async_trait(?Send)]
impl Scenario for Frozen {
    fn id(&self) -> &'static str {
        "F10F"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL is frozen"
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().postgres.freeze();
        stage.note("froze PostgreSQL");
        stage.until_heal().await;
        all_run(stage);
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().postgres.thaw();
        stage.note("thawed PostgreSQL");
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
        let doubted = doubted(evidence);
        stage.expect(doubted > 0, "no send was ever in doubt");
    }
}

/// How often the connections of the roles are ended, and how many others want them at the same time: at last these have
/// nearly all.
const ROUNDS: usize = 5;
const OTHERS: usize = 32;

/// Others have taken every connection that the server gives.
struct Exhausted;

#[async_trait(?Send)]
impl Scenario for Exhausted {
    fn id(&self) -> &'static str {
        "F11"
    }

    fn title(&self) -> &'static str {
        "PostgreSQL has no connection left"
    }

    async fn fault(&self, stage: &mut Stage) {
        let servers = stage.servers();
        let database = servers.last_database();
        // Asked for before there is no connection left to ask with. Whoever is first gets what comes free: each time the
        // others get some of it.
        let end = format!(
            "SELECT pg_sleep(0.5); SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = '{database}' AND pid <> pg_backend_pid(); "
        );
        let mut ending = servers.postgres.begin("postgres", &end.repeat(ROUNDS));
        let mut taken = Vec::new();
        let mut ended = pin!(ending.until_ended());
        while timeout(Duration::from_millis(5), &mut ended).await.is_err() {
            let others = (0..OTHERS).map(|_| servers.postgres.occupy());
            taken.extend(join_all(others).await.into_iter().flatten());
        }
        taken.extend(servers.postgres.occupy().await);
        let count = taken.len();
        stage.note(&format!("{count} connections are taken"));
        while stage.left_until_heal() > Duration::from_millis(500) {
            let began = Instant::now();
            let alive = probe::ask(stage, 0, "/livez").await;
            let alive = alive.is_some_and(|(status, _)| status == 200);
            stage.expect(alive, "the gateway does not say that it is alive");
            stage.expect(
                began.elapsed() < Duration::from_secs(1),
                "the gateway takes its time to say that it is alive",
            );
            stage.pause(Duration::from_millis(500)).await;
        }
        drop(taken);
        stage.note("they are free again");
        all_run(stage);
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        answered_in_time(stage, evidence);
        let errors = evidence.outcome.errors();
        stage.expect(
            !errors.is_empty(),
            "nothing was refused without the database",
        );
    }
}
