//! Every socket is cut at once and comes back with its position, while there is something new for each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::label::Label;
use super::sockets::{self, Sent, say};
use super::{Findings, Stage};
use crate::LoadError;
use crate::check::Seen;
use crate::dialect::{Dialect, To};
use crate::people::{self, Person};

/// Messages that each person misses.
const MISSED: usize = 5;
/// Sockets that come back at a time: all of them want to, the machine's backlog decides.
const AT_ONCE: usize = 512;
/// How long a socket may take to catch up.
const PATIENCE: Duration = Duration::from_mins(1);
const DIALECT: Dialect = Dialect::Direct;

pub(super) async fn play(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let people = people::make(stage, stage.plan.people).await?;
    let open = sockets::open(stage, DIALECT, &people).await?;
    // One message a pair, so that every socket has a position; then the cut.
    let positions = write(stage, &people, 1).await?;
    drop(open);
    write(stage, &people, MISSED).await?;

    let course = stage.begin().await;
    stream::iter(0..stage.plan.sockets)
        .for_each_concurrent(AT_ONCE, |index| {
            let person = &people[index % people.len()];
            let position = positions[index % people.len() / 2];
            async move {
                stage.counts.begun.add(index);
                let caught_up = catch_up(stage, index, person, position);
                match timeout(PATIENCE, caught_up).await {
                    Ok(Ok(())) => {
                        stage.counts.done.add(index);
                        stage.confirmed.record(index, course.start.elapsed());
                    }
                    Ok(Err(error)) => stage.checks.error(&error),
                    Err(late) => stage.checks.error(&late),
                }
            }
        })
        .await;
    let took = course.start.elapsed();
    let missed = stage.done() * MISSED as u64;
    stage
        .checks
        .lost(missed.saturating_sub(stage.counts.delivered.get()));
    let mut findings = Findings::of(stage.done(), stage.used_since(&course));
    findings.figure("all caught up after", took.as_secs_f64(), "s");
    findings.latency("cut to caught up", &stage.confirmed);
    Ok(findings)
}

/// Writes so often in each pair; where the pairs' threads end then.
async fn write(stage: &Stage, people: &[Person], times: usize) -> Result<Vec<Sent>, LoadError> {
    let mut positions = Vec::with_capacity(people.len() / 2);
    for pair in people.chunks_exact(2) {
        let mut socket = sockets::open_one(stage, 0, DIALECT, &pair[0], "").await?;
        let to = To::Person(pair[1].id.clone());
        let mut position = None;
        for _ in 0..times {
            let text = Label::new(stage, 0, Instant::now()).text();
            let frame = Dialect::message(&to, &text);
            position = Some(say(&mut socket, DIALECT, frame, &text).await?);
        }
        positions.extend(position);
    }
    Ok(positions)
}

async fn catch_up(
    stage: &Stage,
    index: usize,
    person: &Person,
    position: Sent,
) -> Result<(), LoadError> {
    let Sent { thread, seq, .. } = position;
    let resume = format!("&resume={thread}:{seq}");
    let mut socket = sockets::open_one(stage, index, DIALECT, person, &resume).await?;
    let mut seen = Seen { seq };
    let missed = i64::try_from(MISSED).unwrap_or(i64::MAX);
    while seen.seq < seq + missed {
        let frame = socket.text().await?;
        let heard = DIALECT.hear(&frame)?;
        if heard.thread == thread && seen.take(heard.seq, &stage.checks) {
            stage.counts.delivered.add(index);
        }
    }
    Ok(())
}
