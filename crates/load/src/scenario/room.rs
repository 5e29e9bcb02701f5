//! One person writes to a group; every socket of every member hears it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::sockets::{self, Label};
use super::{Findings, Stage, per_second};
use crate::LoadError;
use crate::check::Seen;
use crate::measure::count;
use crate::pace::Pace;
use crate::people::{self, Person};
use crate::process::Used;
use crate::socket::Socket;

pub(super) const PATH: &str = "/ws/chats/";

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<Body<'a>>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(default)]
    seq: i64,
}

pub(super) async fn play(stage: &Arc<Stage>) -> Result<(Findings, Option<Used>), LoadError> {
    let people = people::make(&stage.front_end, stage.plan.people).await?;
    let chat = make_group(stage, &people).await?;
    let sockets = sockets::open(stage, &people, |_| PATH.to_owned()).await?;
    stage.counts.begun.store(0, Ordering::Relaxed);
    stage.counts.done.store(0, Ordering::Relaxed);

    let (start, end) = (Instant::now(), stage.end());
    let before = stage.usage();
    let (stop, stopped) = watch::channel(false);
    let mut members = JoinSet::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let member = Member {
            stage: Arc::clone(stage),
            chat,
            // The first one writes.
            pace: (index == 0).then(|| Pace::new(start, end, stage.plan.rate, 0, 1)),
            index,
            seen: Seen::default(),
            waiting: 0,
        };
        members.spawn(member.run(socket, stopped.clone()));
    }
    tokio::time::sleep_until(end).await;
    let (sent, delivered) = (stage.done(), stage.counts.delivered.load(Ordering::Relaxed));
    let (rate, delivery_rate) = (per_second(sent, start), per_second(delivered, start));
    let used = stage.used_since(before);
    let each = stage.plan.sockets as u64;
    stage.settle(each).await;
    let _ = stop.send(true);
    while members.join_next().await.is_some() {}

    let all = stage.counts.delivered.load(Ordering::Relaxed);
    stage.checks.lost((stage.done() * each).saturating_sub(all));
    let mut findings = Findings {
        counted: delivered,
        ..Findings::default()
    };
    findings.figure("stored and confirmed", rate, "messages/s");
    findings.figure("delivered", delivery_rate, "deliveries/s");
    findings.latency("due to confirmation", &stage.confirmed);
    findings.latency("due to delivery", &stage.delivered);
    Ok((findings, used))
}

/// Makes a group with everybody in it; its number.
async fn make_group(stage: &Stage, people: &[Person]) -> Result<i64, LoadError> {
    let mut chat = None;
    for person in people {
        let url = stage
            .front_end
            .socket_url(0, &format!("{PATH}?token={}", person.token));
        let mut socket = Socket::open(&url).await?;
        let number = if let Some(number) = chat {
            number
        } else {
            let request = r#"{"type":"createEmptyChat","data":{}}"#.to_owned();
            let made = call(&mut socket, request, "emptyChatCreated").await?;
            let number = made["data"]["id"].as_i64();
            number.ok_or_else(|| LoadError::Reply(made.to_string()))?
        };
        let join = format!(r#"{{"type":"joinChat","data":{{"chat":{number}}}}}"#);
        call(&mut socket, join, "chatJoined").await?;
        chat = Some(number);
    }
    chat.ok_or_else(|| LoadError::Plan("a room needs people".to_owned()))
}

async fn call(socket: &mut Socket, request: String, reply: &str) -> Result<Value, LoadError> {
    socket.send(request).await?;
    loop {
        let text = socket.text().await?;
        let frame: Value = serde_json::from_str(&text)
            .map_err(|error| LoadError::Reply(format!("{error}: {text}")))?;
        match frame["type"].as_str() {
            Some(kind) if kind == reply => return Ok(frame),
            Some("error") => return Err(LoadError::Reply(text.to_string())),
            _ => {}
        }
    }
}

/// One socket in the room.
struct Member {
    stage: Arc<Stage>,
    chat: i64,
    index: usize,
    /// Only of the one who writes.
    pace: Option<Pace>,
    seen: Seen,
    waiting: usize,
}

impl Member {
    async fn run(mut self, mut socket: Socket, mut stopped: watch::Receiver<bool>) {
        loop {
            let may_send = self
                .pace
                .as_ref()
                .is_some_and(|pace| pace.is_open() || self.waiting == 0);
            tokio::select! {
                biased;
                frame = socket.text() => match frame {
                    Ok(frame) => self.take(&frame),
                    Err(_) => return self.stage.checks.error(),
                },
                due = next(&mut self.pace), if may_send => match due {
                    Some(due) => {
                        let text = Label::new(&self.stage, self.index, due).text();
                        let chat = self.chat;
                        let frame = format!(
                            r#"{{"type":"newMessage","data":{{"chat":{chat},"text":"{text}","client_msg_id":"{text}"}}}}"#
                        );
                        count(&self.stage.counts.begun);
                        self.waiting += 1;
                        if socket.send(frame).await.is_err() {
                            return self.stage.checks.error();
                        }
                    }
                    None => self.pace = None,
                },
                _ = stopped.changed() => return,
            }
        }
    }

    fn take(&mut self, frame: &str) {
        let stage = &self.stage;
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(frame) else {
            return stage.checks.error();
        };
        if frame.kind == "error" {
            return stage.checks.error();
        }
        let Some((label, seq)) = frame.data.and_then(|body| {
            let label = Label::of(body.text.as_deref()?)?;
            Some((label, body.seq))
        }) else {
            return;
        };
        if !self.seen.take(seq, &stage.checks) {
            return;
        }
        count(&stage.counts.delivered);
        stage.delivered.record(label.age(stage));
        if label.sender == self.index {
            self.waiting = self.waiting.saturating_sub(1);
            count(&stage.counts.done);
            stage.confirmed.record(label.age(stage));
        }
    }
}

async fn next(pace: &mut Option<Pace>) -> Option<Instant> {
    match pace {
        Some(pace) => pace.due().await,
        None => std::future::pending().await,
    }
}
