//! Pages of 50 from a long thread: the newest, and from a random place.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::direct::{self, Frame, text_message};
use super::sockets::Label;
use super::{Findings, Stage, per_second};
use crate::LoadError;
use crate::front_end::accepted;
use crate::measure::{Latencies, count};
use crate::pace::Pace;
use crate::people::{self, Person};
use crate::process::Used;
use crate::socket::Socket;

const PAGE: usize = 50;
/// Sockets that fill the thread; each is told of every message.
const WRITERS: usize = 8;

pub(super) async fn play(stage: &Arc<Stage>) -> Result<(Findings, Option<Used>), LoadError> {
    let people = people::make(&stage.front_end, 2).await?;
    let (reader, other) = (&people[0], &people[1]);
    let messages = Arc::new(fill(stage, reader, other).await?);
    stage.counts.begun.store(0, Ordering::Relaxed);
    stage.counts.done.store(0, Ordering::Relaxed);

    let (start, end) = (Instant::now(), stage.end());
    let before = stage.usage();
    let (newest, random) = (
        Arc::new(Latencies::default()),
        Arc::new(Latencies::default()),
    );
    let mut readers = JoinSet::new();
    for index in 0..stage.plan.sockets {
        let pages = Pages {
            stage: Arc::clone(stage),
            token: reader.token.clone(),
            path: format!("/chat/messages/{}/?limit={PAGE}", other.id),
            messages: Arc::clone(&messages),
            newest: Arc::clone(&newest),
            random: Arc::clone(&random),
        };
        let pace = Pace::new(start, end, stage.plan.rate, index, stage.plan.sockets);
        readers.spawn(pages.read_on(pace, index));
    }
    while readers.join_next().await.is_some() {}
    let done = stage.done();
    let mut findings = Findings {
        counted: done,
        ..Findings::default()
    };
    findings.figure("read", per_second(done, start), "pages/s");
    findings.latency("newest page", &newest);
    findings.latency("random page", &random);
    let used = stage.used_since(before);
    Ok((findings, used))
}

/// Fills the thread of two people; the ids of its messages.
async fn fill(stage: &Arc<Stage>, from: &Person, to: &Person) -> Result<Vec<i64>, LoadError> {
    let mut writers = JoinSet::new();
    let each = stage.plan.messages.div_ceil(WRITERS as u64);
    for index in 0..WRITERS {
        let path = format!("{}?token={}", direct::PATH, from.token);
        let url = stage.front_end.socket_url(index, &path);
        let (stage, to) = (Arc::clone(stage), to.id.clone());
        writers.spawn(async move { write(&stage, index, &url, &to, each).await });
    }
    let mut ids = Vec::new();
    while let Some(written) = writers.join_next().await {
        let written = written.map_err(|error| LoadError::Reply(error.to_string()))?;
        ids.extend(written?);
    }
    Ok(ids)
}

async fn write(
    stage: &Stage,
    index: usize,
    url: &str,
    to: &str,
    messages: u64,
) -> Result<Vec<i64>, LoadError> {
    let mut socket = Socket::open(url).await?;
    let mut ids = Vec::new();
    for _ in 0..messages {
        let text = Label::new(stage, index, Instant::now()).text();
        socket.send(text_message(to, &text)).await?;
        loop {
            let frame = socket.text().await?;
            let frame: Frame<'_> = serde_json::from_str(&frame)
                .map_err(|error| LoadError::Reply(error.to_string()))?;
            if frame.message_body.as_deref() == Some(&text) {
                ids.push(frame.created_msg_id);
                count(&stage.counts.done);
                break;
            }
        }
    }
    Ok(ids)
}

struct Pages {
    stage: Arc<Stage>,
    token: String,
    path: String,
    messages: Arc<Vec<i64>>,
    newest: Arc<Latencies>,
    random: Arc<Latencies>,
}

impl Pages {
    async fn read_on(self, mut pace: Pace, index: usize) {
        let mut is_random = false;
        while let Some(due) = pace.due().await {
            let before = fastrand::choice(self.messages.iter()).filter(|_| is_random);
            let path = match before {
                Some(id) => format!("{}&before={id}", self.path),
                None => self.path.clone(),
            };
            match self.read(index, &path).await {
                Ok(()) => {
                    count(&self.stage.counts.done);
                    let side = if is_random {
                        &self.random
                    } else {
                        &self.newest
                    };
                    side.record(due.elapsed());
                }
                Err(_) => self.stage.checks.error(),
            }
            is_random = !is_random;
        }
    }

    async fn read(&self, index: usize, path: &str) -> Result<(), LoadError> {
        let front_end = &self.stage.front_end;
        let request = front_end.client().get(front_end.url(index, path));
        let response = request.bearer_auth(&self.token).send().await?;
        let body: Value = accepted("reading a page", response).await?.json().await?;
        let page = body["data"]["messages"].as_array().map(Vec::len);
        match page {
            Some(1..=PAGE) => Ok(()),
            other => Err(LoadError::Reply(format!("a page of {other:?} messages"))),
        }
    }
}
