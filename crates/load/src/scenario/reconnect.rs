//! Every socket is cut at once and comes back with its position, while there is something new for each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::direct::{self, Frame, text_message};
use super::sockets::{self, Label};
use super::{Findings, Stage};
use crate::LoadError;
use crate::check::Seen;
use crate::measure::count;
use crate::people::{self, Person};
use crate::process::Used;
use crate::socket::Socket;

/// Messages that each person misses.
const MISSED: usize = 5;
/// Sockets that come back at a time: all of them want to, the machine's backlog decides.
const AT_ONCE: usize = 512;
/// How long a socket may take to catch up.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn play(stage: &Arc<Stage>) -> Result<(Findings, Option<Used>), LoadError> {
    let people = people::make(&stage.front_end, stage.plan.people).await?;
    let open = sockets::open(stage, &people, |_| direct::PATH.to_owned()).await?;
    // One message a pair, so that every socket has a position; then the cut.
    let positions = write(stage, &people, 1).await?;
    drop(open);
    write(stage, &people, MISSED).await?;
    stage.counts.begun.store(0, Ordering::Relaxed);
    stage.counts.done.store(0, Ordering::Relaxed);

    let before = stage.usage();
    let start = Instant::now();
    stream::iter(0..stage.plan.sockets)
        .for_each_concurrent(AT_ONCE, |index| {
            let person = index % people.len();
            let (thread, seq) = positions[person / 2];
            let url = stage.front_end.socket_url(
                index,
                &format!(
                    "{}?token={}&resume={thread}:{seq}",
                    direct::PATH,
                    people[person].token
                ),
            );
            async move {
                count(&stage.counts.begun);
                match timeout(PATIENCE, catch_up(stage, &url, thread, seq)).await {
                    Ok(Ok(())) => {
                        count(&stage.counts.done);
                        stage.confirmed.record(start.elapsed());
                    }
                    _ => stage.checks.error(),
                }
            }
        })
        .await;
    let took = start.elapsed();
    let mut findings = Findings {
        counted: stage.done(),
        ..Findings::default()
    };
    findings.figure("all caught up after", took.as_secs_f64(), "s");
    findings.latency("cut to caught up", &stage.confirmed);
    let used = stage.used_since(before);
    Ok((findings, used))
}

/// Writes so often in each pair; where the pairs' threads end then.
async fn write(
    stage: &Stage,
    people: &[Person],
    times: usize,
) -> Result<Vec<(i64, i64)>, LoadError> {
    let mut positions = Vec::with_capacity(people.len() / 2);
    for pair in people.chunks_exact(2) {
        let path = format!("{}?token={}", direct::PATH, pair[0].token);
        let mut socket = Socket::open(&stage.front_end.socket_url(0, &path)).await?;
        let mut position = (0, 0);
        for _ in 0..times {
            let text = Label::new(stage, 0, Instant::now()).text();
            socket.send(text_message(&pair[1].id, &text)).await?;
            position = loop {
                let frame = socket.text().await?;
                let frame: Frame<'_> = serde_json::from_str(&frame)
                    .map_err(|error| LoadError::Reply(error.to_string()))?;
                if frame.message_body.as_deref() == Some(&text) {
                    break (frame.thread, frame.seq);
                }
            };
        }
        positions.push(position);
    }
    Ok(positions)
}

async fn catch_up(stage: &Stage, url: &str, thread: i64, seq: i64) -> Result<(), LoadError> {
    let mut socket = Socket::open(url).await?;
    let mut seen = Seen { seq };
    let missed = i64::try_from(MISSED).unwrap_or(i64::MAX);
    while seen.seq < seq + missed {
        let frame = socket.text().await?;
        let frame: Frame<'_> =
            serde_json::from_str(&frame).map_err(|error| LoadError::Reply(error.to_string()))?;
        if frame.thread == thread && seen.take(frame.seq, &stage.checks) {
            count(&stage.counts.delivered);
        }
    }
    Ok(())
}
