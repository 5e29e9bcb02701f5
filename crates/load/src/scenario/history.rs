//! Pages of 50 from a long thread: the newest, and from a random place.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::label::Label;
use super::sockets::{self, call, say};
use super::stage::GRACE;
use super::{Findings, Stage};
use crate::LoadError;
use crate::check::Seen;
use crate::dialect::{Dialect, To};
use crate::front_end::accepted;
use crate::measure::Latencies;
use crate::pace::Pace;
use crate::people::{self, Person};
use crate::socket::Socket;

const PAGE: usize = 50;
/// Sockets that fill the thread; each is told of every message.
const WRITERS: usize = 16;

/// A thread of two people, with the id of each message at its place.
struct Thread {
    number: i64,
    other: String,
    ids: Vec<i64>,
    newest: Latencies,
    random: Latencies,
}

pub(super) async fn play(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let people = people::make(stage, 2).await?;
    let (reader, other) = (&people[0], &people[1]);
    let thread = Arc::new(fill(stage, reader, other).await?);
    let mut readers = Vec::with_capacity(stage.plan.sockets);
    for index in 0..stage.plan.sockets {
        readers.push(Pages {
            stage: Arc::clone(stage),
            index,
            token: reader.token.clone(),
            socket: match stage.plan.dialect {
                Dialect::Groups => {
                    Some(sockets::open_one(stage, index, Dialect::Groups, reader, "").await?)
                }
                _ => None,
            },
            thread: Arc::clone(&thread),
        });
    }
    let course = stage.begin().await;
    let paces = stage.paces(&course, readers.len())?;
    let mut reading = JoinSet::new();
    for (pages, pace) in readers.into_iter().zip(paces) {
        reading.spawn(pages.read_on(pace));
    }
    tokio::time::sleep_until(course.end).await;
    let done = stage.done();
    let rate = course.per_second(done);
    let used = stage.used_since(&course);
    let _ = timeout(GRACE, async {
        while reading.join_next().await.is_some() {}
    })
    .await;
    let mut findings = Findings::of(done, used);
    findings.figure("read", rate, "pages/s");
    findings.latency("newest page", &thread.newest);
    findings.latency("random page", &thread.random);
    Ok(findings)
}

/// Fills the thread of two people.
async fn fill(stage: &Arc<Stage>, from: &Person, to: &Person) -> Result<Thread, LoadError> {
    let mut writers = JoinSet::new();
    let each = stage.plan.messages.div_ceil(WRITERS as u64);
    for index in 0..WRITERS {
        let (stage, from, to) = (Arc::clone(stage), from.clone(), to.clone());
        writers.spawn(async move { write(&stage, index, &from, &to, each).await });
    }
    let mut written = Vec::new();
    let mut number = 0;
    while let Some(part) = writers.join_next().await {
        let (thread, part) = part.map_err(|error| LoadError::Reply(error.to_string()))??;
        number = thread;
        written.extend(part);
    }
    written.sort_unstable();
    let mut seen = Seen::default();
    for (seq, _) in &written {
        seen.take(*seq, &stage.checks);
    }
    Ok(Thread {
        number,
        other: to.id.clone(),
        ids: written.into_iter().map(|(_, id)| id).collect(),
        newest: Latencies::default(),
        random: Latencies::default(),
    })
}

/// Writes so many messages; in which thread, and the place and id of each.
async fn write(
    stage: &Stage,
    index: usize,
    from: &Person,
    to: &Person,
    messages: u64,
) -> Result<(i64, Vec<(i64, i64)>), LoadError> {
    let dialect = Dialect::Direct;
    let mut socket = sockets::open_one(stage, index, dialect, from, "").await?;
    let to = To::Person(to.id.clone());
    let mut written = Vec::new();
    let mut thread = 0;
    for _ in 0..messages {
        let text = Label::new(stage, index, Instant::now()).text();
        let frame = Dialect::message(&to, &text);
        let sent = say(&mut socket, dialect, frame, &text).await?;
        thread = sent.thread;
        written.push((sent.seq, sent.id));
        stage.counts.done.add(index);
    }
    Ok((thread, written))
}

#[derive(Deserialize)]
struct Reply {
    data: Said,
}

#[derive(Deserialize)]
struct Said {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    id: i64,
}

/// One who reads pages.
struct Pages {
    stage: Arc<Stage>,
    index: usize,
    token: String,
    /// Of a language that has no pages by HTTP, and newest ones only.
    socket: Option<Socket>,
    thread: Arc<Thread>,
}

impl Pages {
    async fn read_on(mut self, mut pace: Pace) {
        let mut is_random = false;
        while let Some(due) = pace.due().await {
            self.stage.counts.begun.add(self.index);
            // The page ends before this place.
            let mut end = self.thread.ids.len();
            if is_random {
                end = fastrand::usize(..end);
            }
            match self.read(end).await {
                Ok(read) => {
                    self.check(end, &read);
                    self.stage.counts.done.add(self.index);
                    let side = if is_random {
                        &self.thread.random
                    } else {
                        &self.thread.newest
                    };
                    side.record(self.index, due.elapsed());
                }
                Err(error) => self.stage.checks.error(&error),
            }
            is_random = !is_random && self.socket.is_none();
        }
    }

    /// The ids of a page, oldest first.
    async fn read(&mut self, end: usize) -> Result<Vec<i64>, LoadError> {
        let number = self.thread.number;
        if let Some(socket) = &mut self.socket {
            let request = format!(
                r#"{{"type":"getChatMessages","data":{{"chatId":{number},"last":{PAGE}}}}}"#
            );
            let page = call(socket, request, &json!("chatMessages")).await?;
            // Newest first, as in the other language.
            let page = page["data"].as_array().into_iter().flatten().rev();
            return Ok(page.filter_map(|it| it["id"].as_i64()).collect());
        }
        let mut path = format!("/chat/messages/{}/?limit={PAGE}", self.thread.other);
        if let Some(id) = self.thread.ids.get(end) {
            path = format!("{path}&before={id}");
        }
        let front_end = &self.stage.front_end;
        let request = front_end.client().get(front_end.url(self.index, &path));
        let response = request.bearer_auth(&self.token).send().await?;
        let body = accepted("reading a page", response).await?.bytes().await?;
        let reply: Reply =
            serde_json::from_slice(&body).map_err(|error| LoadError::Reply(error.to_string()))?;
        let page = reply.data.messages.iter().rev();
        Ok(page.map(|it| it.id).collect())
    }

    /// Whether a page is what lies before its end, in order.
    fn check(&self, end: usize, page: &[i64]) {
        let expected = &self.thread.ids[end.saturating_sub(PAGE)..end];
        // People who are kept may have written before.
        if page.ends_with(expected) && page.len() <= PAGE {
            return;
        }
        let checks = &self.stage.checks;
        let missing = expected.iter().filter(|id| !page.contains(id)).count();
        checks.lost(missing as u64);
        if missing == 0 && page.len() > expected.len() {
            checks.doubled();
        } else if missing == 0 {
            checks.reordered();
        }
    }
}
