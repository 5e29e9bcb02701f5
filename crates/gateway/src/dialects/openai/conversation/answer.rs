//! The events of a run → the chunks of a completion.

use std::collections::VecDeque;

use confab_rpc::completions::ask_event::Event;
use confab_rpc::completions::{AskEvent, Finished, Started};
use confab_rpc::{Fault, time};
use futures_util::{Stream, StreamExt};
use tonic::Status;

use crate::dialects::openai::fault::Refused;
use crate::dialects::openai::wire::{Choice, Completion, Said};
use crate::limits::Meter;

/// Where the provider said no word of its own.
const STOP: &str = "stop";

/// An answer that is being told. Dropping it does not stop the run.
pub(in super::super) struct Answer<S> {
    events: S,
    meter: Meter,
    include_usage: bool,
    /// The completion that the chunks are parts of.
    id: String,
    created: i64,
    model: String,
    replayed: bool,
    progress: Progress,
    stage: Stage,
    chunks: VecDeque<Vec<u8>>,
}

/// How far the chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not even the first one, which names the role, was made.
    Silent,
    Speaking,
    Over,
}

impl<S: Stream<Item = Result<AskEvent, Status>> + Unpin> Answer<S> {
    pub(in super::super) fn new(
        events: S,
        meter: Meter,
        model: String,
        include_usage: bool,
    ) -> Self {
        Self {
            events,
            meter,
            include_usage,
            id: String::new(),
            created: 0,
            model,
            replayed: false,
            progress: Progress::default(),
            stage: Stage::Silent,
            chunks: VecDeque::new(),
        }
    }

    /// Whether the answer was there before this request.
    pub(in super::super) fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// The next chunk; none when the answer is whole. The first one is there with the first text.
    pub(in super::super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        loop {
            if let Some(chunk) = self.chunks.pop_front() {
                return Ok(Some(chunk));
            }
            if self.stage == Stage::Over {
                return Ok(None);
            }
            match self.read().await? {
                Event::Started(started) => self.start(&started),
                Event::Delta(delta) => {
                    self.meter.pieces(1);
                    let offset = usize::try_from(delta.offset).unwrap_or(usize::MAX);
                    let new = self.progress.take(offset, &delta.text);
                    let new = new.ok_or_else(Refused::begun_anew)?.to_owned();
                    self.say(&new);
                }
                Event::Restarted(_) => {}
                Event::Finished(finished) => self.end(&finished)?,
            }
        }
    }

    /// Reads to the end.
    pub(in super::super) async fn finish(&mut self) -> Result<Finished, Refused> {
        loop {
            match self.read().await? {
                Event::Started(started) => self.start(&started),
                Event::Finished(finished) => {
                    self.count(&finished);
                    return Ok(finished);
                }
                Event::Delta(_) => self.meter.pieces(1),
                Event::Restarted(_) => {}
            }
        }
    }

    /// The answer in one piece.
    pub(in super::super) fn whole<'a>(&'a self, finished: &'a Finished) -> Completion<'a> {
        let content = finished.answer.as_ref().map_or("", |it| &it.content);
        let said = Said {
            role: Some("assistant"),
            content: Some(content),
        };
        Completion {
            object: "chat.completion",
            choices: vec![Choice {
                index: 0,
                message: Some(said),
                delta: None,
                logprobs: None,
                finish_reason: Some(finish_reason(finished)),
            }],
            usage: finished.usage.map(Into::into),
            ..self.chunk()
        }
    }

    async fn read(&mut self) -> Result<Event, Refused> {
        let event = self.events.next().await.ok_or_else(Refused::internal)?;
        let event = event.map_err(|status| Refused::of(Fault::from(status), &self.model))?;
        event.event.ok_or_else(Refused::internal)
    }

    fn start(&mut self, started: &Started) {
        self.id = format!("chatcmpl-{}", started.run_id);
        self.replayed = started.replayed;
        if let Some(answer) = &started.answer {
            let created = answer.created_at.and_then(time::from_wire);
            self.created = created.map_or(0, |at| at.timestamp());
            if !answer.model.is_empty() {
                self.model.clone_from(&answer.model);
            }
        }
    }

    fn end(&mut self, finished: &Finished) -> Result<(), Refused> {
        self.count(finished);
        let content = finished.answer.as_ref().map_or("", |it| &it.content);
        let rest = self.progress.take(0, content);
        let rest = rest.ok_or_else(Refused::begun_anew)?.to_owned();
        self.say(&rest);
        self.begin();
        self.push(Said::default(), Some(finish_reason(finished)));
        if self.include_usage {
            let usage = Completion {
                usage: finished.usage.map(Into::into),
                choices: Vec::new(),
                ..self.chunk()
            };
            // A chunk always becomes JSON.
            let usage = serde_json::to_vec(&usage).unwrap_or_default();
            self.chunks.push_back(usage);
        }
        self.stage = Stage::Over;
        Ok(())
    }

    fn count(&mut self, finished: &Finished) {
        let usage = finished.usage.unwrap_or_default();
        self.meter.settle(usage.input_tokens, usage.output_tokens);
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin();
        let said = Said {
            role: None,
            content: Some(text),
        };
        self.push(said, None);
    }

    fn begin(&mut self) {
        if self.stage != Stage::Silent {
            return;
        }
        self.stage = Stage::Speaking;
        let said = Said {
            role: Some("assistant"),
            content: Some(""),
        };
        self.push(said, None);
    }

    fn push(&mut self, delta: Said<'_>, finish_reason: Option<&str>) {
        let chunk = Completion {
            choices: vec![Choice {
                index: 0,
                message: None,
                delta: Some(delta),
                logprobs: None,
                finish_reason,
            }],
            ..self.chunk()
        };
        // A chunk always becomes JSON.
        let chunk = serde_json::to_vec(&chunk).unwrap_or_default();
        self.chunks.push_back(chunk);
    }

    fn chunk(&self) -> Completion<'_> {
        Completion {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices: Vec::new(),
            usage: None,
        }
    }
}

/// How the answer ended.
fn finish_reason(finished: &Finished) -> &str {
    let run = finished.run.as_ref().map(|run| run.finish_reason.as_str());
    run.filter(|reason| !reason.is_empty()).unwrap_or(STOP)
}

/// What was told of a text. A run that another process took over tells it from its beginning, perhaps in other words.
#[derive(Debug, Default)]
struct Progress {
    told: String,
}

impl Progress {
    /// What is new in a piece that begins at an offset; none when it contradicts what was told.
    fn take<'a>(&mut self, offset: usize, text: &'a str) -> Option<&'a str> {
        let known = self.told.as_bytes().get(offset..)?;
        let same = known.len().min(text.len());
        if known[..same] != text.as_bytes()[..same] {
            return None;
        }
        let new = text.get(same..)?;
        self.told.push_str(new);
        Some(new)
    }
}
