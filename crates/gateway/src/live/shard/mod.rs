//! The threads that have listeners here, spread over a few tasks; each thread belongs to one of them.
//!
//! Who listens to a thread follows from its log: a user's positions say where the user is a member when the socket
//! opens, and from then on every entry that brings a new member is seen here in its turn.

mod arrivals;
mod listeners;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use confab_rpc::Fault;
use confab_rpc::threads::{Arrival, Entry, Position, ReadLogResponse};
use confab_runtime::Tasks;
use tokio::sync::{mpsc, oneshot};

use super::Reply;
use super::people::People;
use super::seat::Place;
use crate::backends::Backends;
use listeners::Listeners;

/// Batches of hints that wait for a shard; their source waits beyond that.
const BATCHES: usize = 1024;

/// What `ListPositions` names of a user at most; one with fewer threads has all of them named.
pub(super) const POSITIONS: usize = 1000;

/// What a shard is told.
pub(super) enum Command {
    /// A socket listens to these threads from these positions on.
    Attach {
        place: Arc<Place>,
        positions: Vec<Position>,
        complete: bool,
        done: oneshot::Sender<()>,
    },
    /// A socket is gone.
    Detach(Arc<Place>),
    /// An entry that a request of this socket led to.
    Own {
        entry: Box<Entry>,
        place: Arc<Place>,
        reply: Reply,
        placed: oneshot::Sender<()>,
    },
    /// The hint of the entry after that one has had its time.
    Awaited { thread: i64, after_seq: i64 },
    /// What the log has after a position.
    Read {
        thread: i64,
        read: Result<ReadLogResponse, Fault>,
    },
    /// The profiles that a thread waited for are there, or cannot be had now.
    LookedUp { thread: i64, found: bool },
    /// How far do the threads go, and who listens?
    Compare(oneshot::Sender<Comparison>),
    /// How far threads go, and who came into one.
    Compared {
        moved: Vec<Position>,
        arrivals: Vec<Arrival>,
    },
}

/// What is compared with the truth.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) known: Vec<Position>,
    pub(super) users: Vec<String>,
}

/// The way to all shards.
pub(super) struct Shards(Vec<Shard>);

#[derive(Clone)]
struct Shard {
    commands: mpsc::UnboundedSender<Command>,
    entries: mpsc::Sender<Vec<Entry>>,
}

/// Ends the listening of a socket when it is dropped.
pub(crate) struct Attached {
    place: Arc<Place>,
    shards: Vec<mpsc::UnboundedSender<Command>>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        for shard in &self.shards {
            // Closed when the process stops.
            let _ = shard.send(Command::Detach(Arc::clone(&self.place)));
        }
    }
}

impl Shards {
    pub(super) fn open(backends: &Backends, people: &People, tasks: &Tasks) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let open = |_| {
            let (commands, told) = mpsc::unbounded_channel();
            let (entries, hints) = mpsc::channel(BATCHES);
            let commands_back = commands.downgrade();
            let listeners = Listeners::new(backends, people, commands_back, tasks);
            let stopping = tasks.stopping();
            tasks.spawn("delivery", async move {
                stopping
                    .run_until_cancelled(listeners.run(told, hints))
                    .await;
            });
            Shard { commands, entries }
        };
        Self((0..cores.min(8)).map(open).collect())
    }

    /// A socket begins to listen. It does when this returns.
    pub(super) async fn attach(&self, place: &Arc<Place>, positions: &[Position]) -> Attached {
        let attached = Attached {
            place: Arc::clone(place),
            shards: self.0.iter().map(|it| it.commands.clone()).collect(),
        };
        let mut parts = vec![Vec::new(); self.0.len()];
        for position in positions {
            parts[self.index(position.thread)].push(*position);
        }
        let mut waiting = Vec::new();
        for (shard, positions_here) in self.0.iter().zip(parts) {
            let (done, attached_here) = oneshot::channel();
            let command = Command::Attach {
                place: Arc::clone(place),
                positions: positions_here,
                complete: positions.len() < POSITIONS,
                done,
            };
            let _ = shard.commands.send(command);
            waiting.push(attached_here);
        }
        for attached_here in waiting {
            let _ = attached_here.await;
        }
        attached
    }

    /// Hints, from wherever.
    pub(super) async fn entries(&self, entries: Vec<Entry>) {
        let mut parts = vec![Vec::new(); self.0.len()];
        for entry in entries {
            parts[self.index(entry.thread)].push(entry);
        }
        for (shard, part) in self.0.iter().zip(parts) {
            if !part.is_empty() {
                let _ = shard.entries.send(part).await;
            }
        }
    }

    pub(super) fn own(&self, command: Command, thread: i64) {
        let _ = self.0[self.index(thread)].commands.send(command);
    }

    /// What every shard wants compared.
    pub(super) async fn compare(&self) -> Comparison {
        let mut all = Comparison::default();
        for shard in &self.0 {
            let (answer, answered) = oneshot::channel();
            let _ = shard.commands.send(Command::Compare(answer));
            if let Ok(part) = answered.await {
                all.known.extend(part.known);
                all.users.extend(part.users);
            }
        }
        // Every shard knows every user.
        all.users.sort_unstable();
        all.users.dedup();
        all
    }

    /// What the comparison said. Threads that wait for something try again, also when it said nothing.
    pub(super) fn compared(&self, moved: Vec<Position>, arrivals: Vec<Arrival>) {
        let mut parts = vec![(Vec::new(), Vec::new()); self.0.len()];
        for position in moved {
            parts[self.index(position.thread)].0.push(position);
        }
        for arrival in arrivals {
            parts[self.index(arrival.thread)].1.push(arrival);
        }
        for (shard, (moved, arrivals)) in self.0.iter().zip(parts) {
            let _ = shard.commands.send(Command::Compared { moved, arrivals });
        }
    }

    fn index(&self, thread: i64) -> usize {
        usize::try_from(thread.unsigned_abs()).unwrap_or(0) % self.0.len()
    }
}
