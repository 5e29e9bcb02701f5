//! Completions, streamed: without a thread, or asked in stored ones; in turn with something beside, to see the difference.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::{Findings, GRACE, Stage, per_second};
use crate::LoadError;
use crate::front_end::accepted;
use crate::measure::{Latencies, count};
use crate::pace::Pace;
use crate::people;
use crate::process::Used;

const PATH: &str = "/v1/chat/completions";
const DONE: &[u8] = b"data: [DONE]";

#[derive(Deserialize)]
struct Conversation {
    id: i64,
}

/// Who asks, and where.
#[derive(Debug, Clone)]
struct Asker {
    key: String,
    conversation: Option<i64>,
}

/// How long two sides took.
#[derive(Debug, Default)]
struct Sides {
    first: Latencies,
    whole: Latencies,
    beside_first: Latencies,
    beside_whole: Latencies,
}

pub(super) async fn play(
    stage: &Arc<Stage>,
    stored: bool,
) -> Result<(Findings, Option<Used>), LoadError> {
    let askers = askers(stage, stored).await?;
    let (start, end) = (Instant::now(), stage.end());
    let before = stage.usage();
    let sides = Arc::new(Sides::default());
    let mut workers = JoinSet::new();
    for index in 0..stage.plan.sockets {
        let pace = Pace::new(start, end, stage.plan.rate, index, stage.plan.sockets);
        let asker = askers[index % askers.len()].clone();
        workers.spawn(ask_on(Arc::clone(stage), Arc::clone(&sides), asker, pace));
    }
    tokio::time::sleep_until(end).await;
    let done = stage.done();
    let rate = per_second(done, start);
    let used = stage.used_since(before);
    let _ = timeout(GRACE, async {
        while workers.join_next().await.is_some() {}
    })
    .await;
    let mut findings = Findings {
        counted: done,
        ..Findings::default()
    };
    findings.figure("answered whole", rate, "streams/s");
    findings.latency("due to first token", &sides.first);
    findings.latency("due to the end", &sides.whole);
    findings.latency("beside: due to first token", &sides.beside_first);
    findings.latency("beside: due to the end", &sides.beside_whole);
    if let (Some(ours), Some(theirs)) = (sides.first.summary(), sides.beside_first.summary()) {
        findings.figure(
            "first token, added at the median",
            ours.p50 - theirs.p50,
            "ms",
        );
        findings.figure("first token, added at p99", ours.p99 - theirs.p99, "ms");
    }
    Ok((findings, used))
}

async fn askers(stage: &Stage, stored: bool) -> Result<Vec<Asker>, LoadError> {
    if !stored && let Some(key) = &stage.key {
        let key = key.clone();
        return Ok(vec![Asker {
            key,
            conversation: None,
        }]);
    }
    let mut askers = Vec::with_capacity(stage.plan.people);
    for person in people::make(&stage.front_end, stage.plan.people).await? {
        let conversation = if stored {
            let body = json!({ "title": "load", "user_id": person.number });
            let made: Conversation = stage
                .front_end
                .post(
                    "making a conversation",
                    "/conversations",
                    Some(&person.token),
                    &body,
                )
                .await?;
            Some(made.id)
        } else {
            None
        };
        askers.push(Asker {
            key: person.token,
            conversation,
        });
    }
    Ok(askers)
}

/// Asks again and again, the other side every second time.
async fn ask_on(stage: Arc<Stage>, sides: Arc<Sides>, asker: Asker, mut pace: Pace) {
    let target = stage.front_end.url(0, PATH);
    let beside = stage
        .beside
        .as_ref()
        .map(|url| format!("{}{PATH}", url.as_str().trim_end_matches('/')));
    let mut turn = 0_u64;
    while let Some(due) = pace.due().await {
        let aside = beside.as_ref().filter(|_| turn % 2 == 1);
        turn += 1;
        if aside.is_none() {
            count(&stage.counts.begun);
        }
        let answered = ask(&stage, aside.unwrap_or(&target), &asker, due).await;
        match (answered, aside) {
            (Ok((first, whole)), None) => {
                count(&stage.counts.done);
                sides.first.record(first);
                sides.whole.record(whole);
            }
            (Ok((first, whole)), Some(_)) => {
                sides.beside_first.record(first);
                sides.beside_whole.record(whole);
            }
            (Err(_), _) => stage.checks.error(),
        }
    }
}

async fn ask(
    stage: &Stage,
    url: &str,
    asker: &Asker,
    due: Instant,
) -> Result<(Duration, Duration), LoadError> {
    let mut body = json!({
        "model": stage.model,
        "stream": true,
        "messages": [{ "role": "user", "content": "Say something." }],
    });
    if let Some(conversation) = asker.conversation {
        body["metadata"] = json!({ "conversation_id": conversation.to_string() });
    }
    let request = stage.front_end.client().post(url).bearer_auth(&asker.key);
    let response = accepted("asking", request.json::<Value>(&body).send().await?).await?;
    let mut pieces = response.bytes_stream();
    let mut first = None;
    let mut tail = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        first.get_or_insert_with(|| due.elapsed());
        tail.extend_from_slice(&piece);
        let kept = tail.len().saturating_sub(DONE.len() + 8);
        tail.drain(..kept);
    }
    if !tail.windows(DONE.len()).any(|window| window == DONE) {
        return Err(LoadError::Reply("the answer was cut".to_owned()));
    }
    Ok((first.unwrap_or_default(), due.elapsed()))
}
