//! What clients saw of the system, in the order in which they saw it: what the [checker](crate::checker) judges.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use uuid::Uuid;

/// One user's socket and the sockets that resumed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lineage(pub usize);

/// A message as somebody saw it. What an observer was not told is left out by every observer of that message alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Message {
    /// The thread's number.
    pub thread: i64,
    /// Its place in the thread.
    pub seq: i64,
    /// Its id.
    pub id: i64,
    /// Who sent it.
    pub sender: Uuid,
    /// What it says; unique among all sends of a test.
    pub body: String,
    /// When it was sent, in microseconds of the Unix epoch.
    pub at_micros: i64,
}

/// What happened to a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A new socket opened, without a position.
    Connect,
    /// A socket opened where an earlier one of the lineage ended.
    Resume,
    /// The server said that the thread starts anew: positions before this are void.
    Reset {
        /// The thread's number.
        thread: i64,
    },
    /// The socket ended.
    Close,
    /// From here on the user may see nothing: signed out, or removed.
    Revoke,
    /// The user asks for a message to be stored.
    Invoke {
        /// The `client_msg_id`.
        key: String,
        /// What is sent.
        body: String,
    },
    /// A send was acknowledged.
    Ack {
        /// The `client_msg_id`.
        key: String,
        /// The message as acknowledged.
        message: Message,
    },
    /// Nobody knows what became of a send.
    Unknown {
        /// The `client_msg_id`.
        key: String,
    },
    /// A send was refused for good.
    Fail {
        /// The `client_msg_id`.
        key: String,
    },
    /// A message arrived, the user's own ones as well.
    Deliver(Message),
    /// The whole history of a thread was read.
    Read {
        /// The thread's number.
        thread: i64,
        /// When it was asked for.
        asked: Duration,
        /// What it held.
        messages: Vec<Message>,
    },
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Monotonic time since the history began.
    pub at: Duration,
    /// Whose it is.
    pub lineage: Lineage,
    /// What happened.
    pub what: What,
}

/// Everything that happened and who the lineages are.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// The user of each lineage.
    pub users: Vec<Uuid>,
    /// What happened, oldest first.
    pub events: Vec<Event>,
}

/// A history that is being written. Clones write the same one.
#[derive(Debug, Clone)]
pub struct History {
    began: Instant,
    story: Arc<Mutex<Story>>,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty one that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            story: Arc::default(),
        }
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// A new lineage of a user.
    #[must_use]
    pub fn lineage(&self, user: Uuid) -> Recorder {
        let lineage = self.write(|story| {
            story.users.push(user);
            Lineage(story.users.len() - 1)
        });
        Recorder {
            history: self.clone(),
            lineage,
        }
    }

    /// All that was written so far.
    #[must_use]
    pub fn story(&self) -> Story {
        self.write(|story| story.clone())
    }

    fn write<T>(&self, change: impl FnOnce(&mut Story) -> T) -> T {
        change(&mut self.story.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes what happens to one lineage.
#[derive(Debug, Clone)]
pub struct Recorder {
    history: History,
    lineage: Lineage,
}

impl Recorder {
    /// Whose lines these are.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// Writes one line.
    pub fn record(&self, what: What) {
        self.history.write(|story| {
            // Taken under the lock, so that lines are in the order of their times.
            let at = self.history.began.elapsed();
            let lineage = self.lineage;
            story.events.push(Event { at, lineage, what });
        });
    }

    /// The time that a read is asked at.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.history.began.elapsed()
    }
}
