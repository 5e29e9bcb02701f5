//! People write on sockets and listen: to each other in pairs, or one to a whole room.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::label::Label;
use super::sockets::{self, call};
use super::{Findings, Stage};
use crate::LoadError;
use crate::check::Seen;
use crate::dialect::{Dialect, To};
use crate::pace::Pace;
use crate::people::{self, Person};
use crate::socket::Socket;

/// Who writes where.
struct Cast {
    people: Vec<Person>,
    /// By person; `None`: only listens.
    to: Vec<Option<To>>,
    /// How many of the first sockets write.
    writers: usize,
    /// How many sockets a message is delivered to.
    each: u64,
    /// Whether these include the sockets of who wrote it.
    own: bool,
    /// What a delivery is called.
    unit: &'static str,
}

/// People 0 and 1 write to each other, 2 and 3, and so on, from all their sockets.
pub(super) async fn play_pairs(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let people = people::make(stage, stage.plan.people).await?;
    let mut to = Vec::with_capacity(people.len());
    for pair in people.chunks_exact(2) {
        if stage.plan.dialect == Dialect::Groups {
            let chat = make_group(stage, pair).await?;
            to.extend([Some(To::Chat(chat)), Some(To::Chat(chat))]);
        } else {
            let [one, other] = [&pair[0], &pair[1]].map(|it| To::Person(it.id.clone()));
            to.extend([Some(other), Some(one)]);
        }
    }
    let cast = Cast {
        writers: stage.plan.sockets,
        each: (stage.plan.sockets / people.len()) as u64,
        own: false,
        unit: "messages/s",
        people,
        to,
    };
    play(stage, cast).await
}

/// One person writes to a group; every socket of every member hears it.
pub(super) async fn play_room(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let people = people::make(stage, stage.plan.people).await?;
    let chat = make_group(stage, &people).await?;
    let mut to = vec![None; people.len()];
    to[0] = Some(To::Chat(chat));
    let cast = Cast {
        writers: 1,
        each: stage.plan.sockets as u64,
        own: true,
        unit: "deliveries/s",
        people,
        to,
    };
    play(stage, cast).await
}

async fn play(stage: &Arc<Stage>, cast: Cast) -> Result<Findings, LoadError> {
    let sockets = sockets::open(stage, stage.plan.dialect, &cast.people).await?;
    let course = stage.begin().await;
    let mut paces = stage.paces(&course, cast.writers)?.into_iter();
    let mut members = JoinSet::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let person = index % cast.people.len();
        let member = Member {
            stage: Arc::clone(stage),
            index,
            people: cast.people.len(),
            hears_own: cast.own,
            writing: cast.to[person].clone().and_then(|to| {
                let pace = paces.next()?;
                Some(Writing { to, pace })
            }),
            seen: Seen::default(),
            waiting: 0,
        };
        members.spawn(member.run(socket));
    }
    tokio::time::sleep_until(course.end).await;
    let (sent, delivered) = (stage.done(), stage.counts.delivered.get());
    let (rate, delivery_rate) = (course.per_second(sent), course.per_second(delivered));
    let used = stage.used_since(&course);
    stage.settle(cast.each).await;
    members.shutdown().await;

    let missing = (stage.done() * cast.each).saturating_sub(stage.counts.delivered.get());
    stage.checks.lost(missing);
    stage
        .checks
        .errors(stage.unanswered(), &"no confirmation came");
    let counted = if cast.own { delivered } else { sent };
    let mut findings = Findings::of(counted, used);
    findings.figure("stored and confirmed", rate, "messages/s");
    findings.figure("delivered", delivery_rate, cast.unit);
    findings.latency("due to confirmation", &stage.confirmed);
    findings.latency("due to delivery", &stage.delivered);
    Ok(findings)
}

/// Makes a group with all of them in it; its number.
async fn make_group(stage: &Stage, people: &[Person]) -> Result<i64, LoadError> {
    let mut chat = None;
    for person in people {
        let mut socket = sockets::open_one(stage, 0, Dialect::Groups, person, "").await?;
        let number = if let Some(number) = chat {
            number
        } else {
            let request = r#"{"type":"createEmptyChat","data":{}}"#.to_owned();
            let made = call(&mut socket, request, &json!("emptyChatCreated")).await?;
            let number = made["data"]["id"].as_i64();
            number.ok_or_else(|| LoadError::Reply(made.to_string()))?
        };
        let join = format!(r#"{{"type":"joinChat","data":{{"chat":{number}}}}}"#);
        call(&mut socket, join, &json!("chatJoined")).await?;
        chat = Some(number);
    }
    chat.ok_or_else(|| LoadError::Plan("a group needs people".to_owned()))
}

/// One socket.
struct Member {
    stage: Arc<Stage>,
    index: usize,
    people: usize,
    hears_own: bool,
    writing: Option<Writing>,
    seen: Seen,
    /// Sent and not confirmed.
    waiting: usize,
}

struct Writing {
    to: To,
    pace: Pace,
}

impl Member {
    /// Until it is aborted; a socket that ends before is an error.
    async fn run(mut self, mut socket: Socket) {
        loop {
            let Some(writing) = &mut self.writing else {
                match socket.text().await {
                    Ok(frame) => self.take(&frame),
                    Err(error) => return self.stage.checks.error(&error),
                }
                continue;
            };
            let may_send = writing.pace.is_open() || self.waiting == 0;
            tokio::select! {
                biased;
                frame = socket.text() => match frame {
                    Ok(frame) => self.take(&frame),
                    Err(error) => return self.stage.checks.error(&error),
                },
                due = writing.pace.due(), if may_send => match due {
                    Some(due) => {
                        let text = Label::new(&self.stage, self.index, due).text();
                        let frame = Dialect::message(&writing.to, &text);
                        self.stage.counts.begun.add(self.index);
                        self.waiting += 1;
                        if let Err(error) = socket.send(frame).await {
                            return self.stage.checks.error(&error);
                        }
                    }
                    None => self.writing = None,
                },
            }
        }
    }

    fn take(&mut self, frame: &str) {
        let stage = &self.stage;
        let heard = match stage.plan.dialect.hear(frame) {
            Ok(heard) => heard,
            Err(error) => {
                // Refused, if it is an answer at all.
                if self.waiting > 0 {
                    self.waiting -= 1;
                    stage.counts.refused.add(self.index);
                }
                return stage.checks.error(&error);
            }
        };
        if !self.seen.take(heard.seq, &stage.checks) {
            return;
        }
        let Some(label) = heard.text.as_deref().and_then(Label::of) else {
            return;
        };
        let age = label.age(stage);
        if self.hears_own || label.sender % self.people != self.index % self.people {
            stage.counts.delivered.add(self.index);
            stage.delivered.record(self.index, age);
        }
        if label.sender == self.index {
            self.waiting = self.waiting.saturating_sub(1);
            stage.counts.done.add(self.index);
            stage.confirmed.record(self.index, age);
        }
    }
}
