//! Questions, and what comes back for them.

use confab_rpc::completions::{AskEvent, AskRequest, Finished, NewThread, Started, ask_event};
use confab_rpc::completions::{ask_request, ask_request::Target};
use confab_rpc::sessions::User;
use confab_rpc::{Fault, Reason};
use tonic::Status;

use crate::world::LLAMA;

/// A run that is being followed.
pub(crate) struct Following {
    pub(crate) started: Started,
    /// How often the text was superseded.
    pub(crate) restarts: usize,
    text: String,
    stream: tonic::Streaming<AskEvent>,
}

/// A run that was followed to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) started: Started,
    pub(crate) text: String,
    pub(crate) finished: Finished,
}

impl Following {
    pub(crate) async fn start(stream: tonic::Streaming<AskEvent>) -> Result<Self, Fault> {
        Self::resume(stream, "").await
    }

    /// Goes on where this text ends.
    pub(crate) async fn resume(
        mut stream: tonic::Streaming<AskEvent>,
        text: &str,
    ) -> Result<Self, Fault> {
        let first = stream.message().await.map_err(Fault::from)?;
        let Some(ask_event::Event::Started(started)) = first.and_then(|event| event.event) else {
            panic!("the first event is `started`");
        };
        Ok(Self {
            started,
            restarts: 0,
            text: text.to_owned(),
            stream,
        })
    }

    /// Waits for the next piece of text; returns all there is so far.
    pub(crate) async fn some_text(&mut self) -> &str {
        match self.stream.message().await.unwrap().unwrap().event {
            Some(ask_event::Event::Delta(delta)) => self.text.push_str(&delta.text),
            Some(ask_event::Event::Restarted(_)) => {
                self.restarts += 1;
                self.text.clear();
            }
            other => panic!("text was expected, not {other:?}"),
        }
        &self.text
    }

    /// All text there is so far.
    pub(crate) fn text_so_far(&self) -> &str {
        &self.text
    }

    /// Waits until so many bytes of text are there.
    pub(crate) async fn text_of(&mut self, bytes: usize) -> String {
        while self.text.len() < bytes {
            self.some_text().await;
        }
        self.text.clone()
    }

    pub(crate) async fn rest(self) -> Result<Answered, Fault> {
        let (text, end) = self.read().await;
        end.map(|(started, finished)| Answered {
            started,
            text,
            finished,
        })
    }

    /// The text, which is there in one piece after the other, and how it ended.
    pub(crate) async fn read(mut self) -> (String, Result<(Started, Finished), Fault>) {
        let mut text = std::mem::take(&mut self.text);
        loop {
            match self.stream.message().await.map(Option::unwrap) {
                Err(status) => return (text, Err(status.into())),
                Ok(event) => match event.event.unwrap() {
                    ask_event::Event::Started(_) => panic!("a run starts once"),
                    ask_event::Event::Delta(delta) => {
                        assert_eq!(delta.offset, i64::try_from(text.len()).unwrap());
                        text.push_str(&delta.text);
                    }
                    ask_event::Event::Restarted(_) => text.clear(),
                    ask_event::Event::Finished(finished) => {
                        assert!(self.stream.message().await.unwrap().is_none());
                        return (text, Ok((self.started, finished)));
                    }
                },
            }
        }
    }
}

/// A question in a new thread.
pub(crate) fn new_ask(user: &User, content: &str) -> AskRequest {
    AskRequest {
        user_id: user.id.clone(),
        model: Some(ask_request::Model::ModelId(LLAMA)),
        target: Some(Target::NewThread(NewThread {
            title: "New".to_owned(),
            instructions: String::new(),
        })),
        content: content.to_owned(),
        ..AskRequest::default()
    }
}

/// A question in a thread.
pub(crate) fn ask_in(user: &User, thread_id: &str, content: &str) -> AskRequest {
    AskRequest {
        target: Some(Target::ThreadId(thread_id.to_owned())),
        ..new_ask(user, content)
    }
}

/// The thread of a run.
pub(crate) fn thread_of(started: &Started) -> String {
    started.thread.as_ref().unwrap().id.clone()
}

/// What the scripted model says to this.
pub(crate) fn echo(content: &str) -> String {
    format!("This is Confab's scripted model, not a real one. You said: {content}")
}

pub(crate) fn reason<T: std::fmt::Debug>(refused: Result<T, Fault>) -> Reason {
    refused.unwrap_err().reason
}

pub(crate) fn refusal<T: std::fmt::Debug>(refused: Result<T, Status>) -> Reason {
    Fault::from(refused.unwrap_err()).reason
}
