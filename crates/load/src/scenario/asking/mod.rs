//! Models are asked: without a thread, or in stored ones; in turn with something beside, to see the difference.

mod asker;
mod stored;
mod streamed;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::label::Label;
use super::stage::GRACE;
use super::{Findings, Stage};
use crate::LoadError;
use crate::measure::Latencies;
use crate::options::Scenario;
use crate::pace::Pace;
use asker::{Answered, Asker};
#[cfg(test)]
pub(super) use {
    stored::{Said, check as check_stored},
    streamed::check as check_words,
};

/// How long two sides took.
#[derive(Debug, Default)]
struct Sides {
    first: Latencies,
    whole: Latencies,
    beside_first: Latencies,
    beside_whole: Latencies,
}

pub(super) async fn play(stage: &Arc<Stage>, stored: bool) -> Result<Findings, LoadError> {
    let askers = asker::make(stage, stored).await?;
    let course = stage.begin().await;
    let paces = stage.paces(&course, askers.len())?;
    let sides = Arc::new(Sides::default());
    let mut workers = JoinSet::new();
    for (index, (asker, pace)) in askers.into_iter().zip(paces).enumerate() {
        let worker = Worker {
            stage: Arc::clone(stage),
            sides: Arc::clone(&sides),
            index,
            asker,
            asked: Vec::new(),
        };
        workers.spawn(worker.ask_on(pace));
    }
    tokio::time::sleep_until(course.end).await;
    let done = stage.done();
    let rate = course.per_second(done);
    let used = stage.used_since(&course);
    let mut ended = Vec::new();
    let _ = timeout(GRACE, async {
        while let Some(worker) = workers.join_next().await {
            ended.extend(worker);
        }
    })
    .await;
    stage.checks.errors(stage.unanswered(), &"no answer came");
    if stored {
        for worker in ended {
            worker.read_back().await?;
        }
    }
    let mut findings = Findings::of(done, used);
    findings.figure("answered whole", rate, "answers/s");
    findings.latency("due to first token", &sides.first);
    findings.latency("due to the end", &sides.whole);
    findings.latency("beside: due to first token", &sides.beside_first);
    findings.latency("beside: due to the end", &sides.beside_whole);
    if let (Some(ours), Some(theirs)) = (sides.first.summary(), sides.beside_first.summary()) {
        let (median, p99) = (ours.p50 - theirs.p50, ours.p99 - theirs.p99);
        findings.figure("first token, added at the median", median, "ms");
        findings.figure("first token, added at p99", p99, "ms");
    }
    Ok(findings)
}

/// Asks again and again, the other side every second time.
struct Worker {
    stage: Arc<Stage>,
    sides: Arc<Sides>,
    index: usize,
    asker: Asker,
    /// What was answered, in its order.
    asked: Vec<String>,
}

impl Worker {
    async fn ask_on(mut self, mut pace: Pace) -> Self {
        let mut aside = false;
        while let Some(due) = pace.due().await {
            if aside {
                self.ask_aside(due).await;
            } else {
                self.ask(due).await;
            }
            aside = !aside && self.stage.beside.is_some();
        }
        self
    }

    async fn ask(&mut self, due: Instant) {
        let (stage, index) = (&self.stage, self.index);
        let question = if stage.plan.scenario == Scenario::Ask {
            Label::new(stage, index, due).text()
        } else {
            "Say something.".to_owned()
        };
        stage.counts.begun.add(index);
        let answered = self.asker.ask(stage, index, &question, due).await;
        let Answered { first, whole } = match answered {
            Ok(answered) => answered,
            Err(error) => {
                stage.counts.refused.add(index);
                return stage.checks.error(&error);
            }
        };
        stage.counts.done.add(index);
        if let Some(first) = first {
            self.sides.first.record(index, first);
        }
        self.sides.whole.record(index, whole);
        self.asked.push(question);
    }

    async fn ask_aside(&self, due: Instant) {
        let Some(beside) = &self.stage.beside else {
            return;
        };
        let url = format!("{}{}", beside.as_str().trim_end_matches('/'), asker::CHAT);
        match self.asker.chat_at(&self.stage, &url, due).await {
            Ok(Answered { first, whole }) => {
                if let Some(first) = first {
                    self.sides.beside_first.record(self.index, first);
                }
                self.sides.beside_whole.record(self.index, whole);
            }
            Err(error) => self.stage.checks.error(&error),
        }
    }

    /// Compares what was answered with what is stored.
    async fn read_back(mut self) -> Result<(), LoadError> {
        let said = self.asker.said(&self.stage).await?;
        stored::check(&self.asked, &said, &self.stage.checks);
        Ok(())
    }
}
