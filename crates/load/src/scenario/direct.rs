//! People write to each other in pairs, each waiting for nobody but the own confirmation.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;
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

pub(super) const PATH: &str = "/ws/chat/room/";

/// A frame of the direct-message dialect, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    pub(super) action: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) message_body: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) thread: i64,
    #[serde(default)]
    pub(super) seq: i64,
    #[serde(default)]
    pub(super) created_msg_id: i64,
}

/// The frame that sends a text.
pub(super) fn text_message(receiver: &str, text: &str) -> String {
    // Both are made here and hold nothing that JSON would escape.
    format!(
        r#"{{"action":"text_message","receiver_id":"{receiver}","message_body":"{text}","client_msg_id":"{text}"}}"#
    )
}

pub(super) async fn play(stage: &Arc<Stage>) -> Result<(Findings, Option<Used>), LoadError> {
    let people = people::make(&stage.front_end, stage.plan.people).await?;
    let sockets = sockets::open(stage, &people, |_| PATH.to_owned()).await?;
    stage.counts.begun.store(0, Ordering::Relaxed);
    stage.counts.done.store(0, Ordering::Relaxed);

    let (start, end) = (Instant::now(), stage.end());
    let before = stage.usage();
    let (stop, stopped) = watch::channel(false);
    let mut writers = JoinSet::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let writer = Writer {
            stage: Arc::clone(stage),
            index,
            // People 0 and 1 write to each other, 2 and 3, and so on.
            partner: people[(index % people.len()) ^ 1].clone(),
            pace: Pace::new(start, end, stage.plan.rate, index, stage.plan.sockets),
            seen: Seen::default(),
            waiting: 0,
        };
        writers.spawn(writer.run(socket, stopped.clone()));
    }
    tokio::time::sleep_until(end).await;
    let (sent, delivered) = (stage.done(), stage.counts.delivered.load(Ordering::Relaxed));
    let (rate, delivery_rate) = (per_second(sent, start), per_second(delivered, start));
    let used = stage.used_since(before);
    let each = (stage.plan.sockets / people.len()) as u64;
    stage.settle(each).await;
    let _ = stop.send(true);
    while writers.join_next().await.is_some() {}

    let expected = stage.done() * each;
    let delivered = stage.counts.delivered.load(Ordering::Relaxed);
    stage.checks.lost(expected.saturating_sub(delivered));
    let mut findings = Findings {
        counted: sent,
        ..Findings::default()
    };
    findings.figure("stored and confirmed", rate, "messages/s");
    findings.figure("delivered", delivery_rate, "messages/s");
    findings.latency("due to confirmation", &stage.confirmed);
    findings.latency("due to delivery", &stage.delivered);
    Ok((findings, used))
}

/// One socket that writes and listens.
struct Writer {
    stage: Arc<Stage>,
    index: usize,
    partner: Person,
    pace: Pace,
    seen: Seen,
    /// Sent and not confirmed.
    waiting: usize,
}

impl Writer {
    async fn run(mut self, mut socket: Socket, mut stopped: watch::Receiver<bool>) {
        let mut sending = true;
        loop {
            let may_send = sending && (self.pace.is_open() || self.waiting == 0);
            tokio::select! {
                biased;
                frame = socket.text() => match frame {
                    Ok(frame) => self.take(&frame),
                    Err(_) => return self.stage.checks.error(),
                },
                due = self.pace.due(), if may_send => match due {
                    Some(due) => {
                        let text = Label::new(&self.stage, self.index, due).text();
                        count(&self.stage.counts.begun);
                        self.waiting += 1;
                        if socket.send(text_message(&self.partner.id, &text)).await.is_err() {
                            return self.stage.checks.error();
                        }
                    }
                    None => sending = false,
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
        let label = frame.message_body.as_deref().and_then(Label::of);
        let (is_own, is_others) = (frame.action == "conf_message", frame.action == "re_message");
        let Some(label) = label.filter(|_| is_own || is_others) else {
            return stage.checks.error();
        };
        if !self.seen.take(frame.seq, &stage.checks) {
            return;
        }
        if is_others {
            count(&stage.counts.delivered);
            stage.delivered.record(label.age(stage));
        } else if label.sender == self.index {
            self.waiting = self.waiting.saturating_sub(1);
            count(&stage.counts.done);
            stage.confirmed.record(label.age(stage));
        }
    }
}
