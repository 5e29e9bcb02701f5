//! What callers see of a run while it goes on: one text that grows, shared by everyone who follows it. A slow follower
//! holds up nobody; it gets what has come since in one piece.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use confab_rpc::Fault;
use confab_rpc::completions::{AskEvent, Delta, Finished, Restarted, Started, ask_event};
use futures_util::Stream;
use tokio::sync::watch;
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;

/// Bytes of text in one event, at most.
const DELTA_BYTES: usize = 256 * 1024;
/// Of the first attempt.
const FIRST: i16 = 1;

/// A run as far as it got.
#[derive(Debug)]
pub(super) struct Feed {
    started: Started,
    /// Which attempt the text is of.
    pub(super) generation: i16,
    pub(super) text: String,
    pub(super) first_text_at: Option<DateTime<Utc>>,
    /// All of the text is there.
    pub(super) whole: bool,
    end: Option<Result<Finished, Fault>>,
}

impl Feed {
    pub(super) fn new(started: Started, generation: i16) -> watch::Sender<Self> {
        watch::Sender::new(Self {
            started,
            generation,
            text: String::new(),
            first_text_at: None,
            whole: false,
            end: None,
        })
    }

    /// The text is of another attempt from here on.
    pub(super) fn restart(&mut self, generation: i16) {
        self.generation = generation;
        self.text.clear();
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// What there was when the run began.
    pub(super) fn started(&self) -> &Started {
        &self.started
    }

    /// Whether a caller can have so many bytes. Of an attempt that was superseded it can have any number: it is shown
    /// the text from its beginning.
    pub(super) fn has(&self, offset: usize) -> bool {
        self.generation > FIRST || self.text.is_char_boundary(offset)
    }
}

/// The last thing that followers are told.
pub(super) fn end(feed: &watch::Sender<Feed>, end: Result<Finished, Fault>) {
    feed.send_modify(|feed| feed.end = Some(end));
}

/// The runs of this process that are under way.
#[derive(Debug, Default, Clone)]
pub(super) struct Feeds(Arc<Mutex<HashMap<Uuid, watch::Receiver<Feed>>>>);

impl Feeds {
    /// Lets others follow the run until what is returned is dropped.
    pub(super) fn publish(&self, run_id: Uuid, feed: watch::Receiver<Feed>) -> Published {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.insert(run_id, feed);
        Published {
            feeds: self.clone(),
            run_id,
        }
    }

    pub(super) fn find(&self, run_id: Uuid) -> Option<watch::Receiver<Feed>> {
        let feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.get(&run_id).cloned()
    }
}

/// An entry of [`Feeds`].
pub(super) struct Published {
    feeds: Feeds,
    run_id: Uuid,
}

impl Drop for Published {
    fn drop(&mut self) {
        let mut feeds = self.feeds.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.remove(&self.run_id);
    }
}

/// One caller's place in a run.
pub(crate) struct Follower {
    feed: watch::Receiver<Feed>,
    replayed: bool,
    place: Place,
}

enum Place {
    Start { offset: usize },
    Text { generation: i16, offset: usize },
    Over,
}

impl Follower {
    /// From the beginning.
    pub(super) fn new(feed: watch::Receiver<Feed>, replayed: bool) -> Self {
        Self::from(feed, replayed, 0)
    }

    /// From a place that the feed has.
    pub(super) fn from(feed: watch::Receiver<Feed>, replayed: bool, offset: usize) -> Self {
        Self {
            feed,
            replayed,
            place: Place::Start { offset },
        }
    }

    /// The run from its start to its end.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<AskEvent, Status>> + Send {
        futures_util::stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((event, follower))
        })
    }

    async fn next(&mut self) -> Option<Result<AskEvent, Status>> {
        loop {
            if matches!(self.place, Place::Over) {
                return None;
            }
            if let Some(event) = self.next_now() {
                return Some(event.map(|event| AskEvent { event: Some(event) }));
            }
            if self.feed.changed().await.is_err() {
                self.place = Place::Over;
                return Some(Err(Error::Interrupted.into()));
            }
        }
    }

    fn next_now(&mut self) -> Option<Result<ask_event::Event, Status>> {
        let feed = self.feed.borrow_and_update();
        match self.place {
            Place::Over => None,
            Place::Start { offset } => {
                // Who has nothing yet has nothing that could be superseded.
                let generation = if offset > 0 { FIRST } else { feed.generation };
                self.place = Place::Text { generation, offset };
                Some(Ok(ask_event::Event::Started(Started {
                    replayed: self.replayed,
                    ..feed.started.clone()
                })))
            }
            Place::Text { generation, .. } if generation != feed.generation => {
                self.place = Place::Text {
                    generation: feed.generation,
                    offset: 0,
                };
                Some(Ok(ask_event::Event::Restarted(Restarted {})))
            }
            Place::Text { generation, offset } if offset < feed.text.len() => {
                let until = feed.text.floor_char_boundary(offset + DELTA_BYTES);
                self.place = Place::Text {
                    generation,
                    offset: until,
                };
                Some(Ok(ask_event::Event::Delta(Delta {
                    offset: i64::try_from(offset).unwrap_or(i64::MAX),
                    text: feed.text[offset..until].to_owned(),
                })))
            }
            Place::Text { .. } => {
                let end = feed.end.clone()?;
                self.place = Place::Over;
                Some(end.map(ask_event::Event::Finished).map_err(Status::from))
            }
        }
    }
}
