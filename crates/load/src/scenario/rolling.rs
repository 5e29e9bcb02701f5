//! Sockets are cut one after the other, and each comes back with its position after somebody wrote to it.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::label::Label;
use super::sockets::{open_one, say};
use super::stage::GRACE;
use super::{Findings, Stage};
use crate::LoadError;
use crate::check::Seen;
use crate::dialect::{Dialect, To};
use crate::pace::Pace;
use crate::people::{self, Person};
use crate::socket::Socket;

const DIALECT: Dialect = Dialect::Direct;

pub(super) async fn play(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let people = people::make(stage, stage.plan.people).await?;
    let mut walkers = Vec::with_capacity(stage.plan.sockets);
    for index in 0..stage.plan.sockets {
        let person = index % people.len();
        let (person, partner) = (&people[person], &people[person ^ 1]);
        walkers.push(Walker::enter(stage, index, person, partner).await?);
    }
    let course = stage.begin().await;
    let paces = stage.paces(&course, walkers.len())?;
    let mut walks = JoinSet::new();
    for (walker, pace) in walkers.into_iter().zip(paces) {
        walks.spawn(walker.walk(pace));
    }
    tokio::time::sleep_until(course.end).await;
    let done = stage.done();
    let rate = course.per_second(done);
    let used = stage.used_since(&course);
    let _ = timeout(GRACE, async { while walks.join_next().await.is_some() {} }).await;
    let mut findings = Findings::of(done, used);
    findings.figure("came back", rate, "sockets/s");
    findings.latency("due to caught up", &stage.confirmed);
    Ok(findings)
}

/// Somebody whose socket is cut again and again, and their partner.
struct Walker {
    stage: Arc<Stage>,
    index: usize,
    person: Person,
    /// How the partner's socket writes to the person.
    to: To,
    partner: Socket,
    socket: Option<Socket>,
    thread: i64,
    seen: Seen,
}

impl Walker {
    async fn enter(
        stage: &Arc<Stage>,
        index: usize,
        person: &Person,
        partner: &Person,
    ) -> Result<Self, LoadError> {
        let to = To::Person(person.id.clone());
        let mut partner = open_one(stage, index, DIALECT, partner, "").await?;
        let text = Label::new(stage, index, Instant::now()).text();
        let frame = Dialect::message(&to, &text);
        let first = say(&mut partner, DIALECT, frame, &text).await?;
        Ok(Self {
            socket: Some(open_one(stage, index, DIALECT, person, "").await?),
            stage: Arc::clone(stage),
            index,
            person: person.clone(),
            to,
            partner,
            thread: first.thread,
            seen: Seen { seq: first.seq },
        })
    }

    async fn walk(mut self, mut pace: Pace) {
        while let Some(due) = pace.due().await {
            self.stage.counts.begun.add(self.index);
            if let Err(error) = self.come_back(due).await {
                return self.stage.checks.error(&error);
            }
            self.stage.counts.done.add(self.index);
            self.stage.confirmed.record(self.index, due.elapsed());
        }
    }

    async fn come_back(&mut self, due: Instant) -> Result<(), LoadError> {
        drop(self.socket.take());
        let text = Label::new(&self.stage, self.index, due).text();
        let frame = Dialect::message(&self.to, &text);
        let missed = say(&mut self.partner, DIALECT, frame, &text).await?;
        let resume = format!("&resume={}:{}", self.thread, self.seen.seq);
        let mut socket = open_one(&self.stage, self.index, DIALECT, &self.person, &resume).await?;
        while self.seen.seq < missed.seq {
            let frame = socket.text().await?;
            let heard = DIALECT.hear(&frame)?;
            if heard.thread == self.thread && self.seen.take(heard.seq, &self.stage.checks) {
                self.stage.counts.delivered.add(self.index);
            }
        }
        self.socket = Some(socket);
        Ok(())
    }
}
