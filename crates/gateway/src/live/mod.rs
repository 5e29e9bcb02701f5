//! Live delivery: which sockets of this gateway get which entry, once each, in the order of its thread.
//!
//! A room that pushes
//! 1. implements [`Announcer`]: how an entry looks in its language;
//! 2. opens its sockets with [`crate::socket::upgrade_live`], which identifies the user, has a [`Seat`] made (it gets
//!    entries until it is dropped) and replays what `?resume=` or `?since=` ask for;
//! 3. sends with [`Live::send`] from a socket or [`Live::post`] from a REST route, and asks for names with
//!    [`Live::people`].
//!
//! The order on one socket: what is pushed and what is answered leave through one queue. Where the answer to a send is
//! another frame than what the author's sockets are pushed anyway, it is given to [`Live::send`] as a [`Reply`] and
//! takes the place of the push on that socket, at its `seq`. Where the push *is* the answer, there is no [`Reply`] and
//! the room answers nothing.
//!
//! Truth is in `threads`; everything here can be lost and is read again. [`line`] has the rule, [`shard`] the threads
//! that have listeners, [`tails`] finds what no hint told of.

mod announcer;
#[cfg(feature = "bench")]
pub(crate) mod bench;
mod directory;
mod line;
mod people;
mod positions;
mod replay;
mod seat;
mod sender;
mod shard;
mod tails;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytestring::ByteString;
use confab_cache::Cache;
use confab_delivery::{Delivery, GatewayId, Link, Subscription};
use confab_rpc::delivery::Events;
use confab_rpc::threads::{Entry, Send};
use confab_rpc::{Fault, Reason, trace};
use confab_runtime::Tasks;
use tokio::sync::{oneshot, watch};
use tonic::codegen::http::HeaderMap;
use uuid::Uuid;

use crate::backends::Backends;
pub(crate) use announcer::{Announcement, Announcer};
use directory::Directory;
pub(crate) use people::{Known, People};
use positions::Positions;
pub(crate) use replay::Resume;
use seat::Place;
pub(crate) use seat::Seat;
use sender::Sender;
use shard::{Command, Shards};
use tails::Reach;

/// Makes the requester's own frame of an entry.
pub(crate) type Reply = Box<dyn FnOnce(&Entry) -> ByteString + std::marker::Send>;

/// What became of a send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) entry: Entry,
    /// The same `client_msg_id` was sent before and this is its message. Nothing is pushed for it: without a [`Reply`]
    /// the room answers it itself, by [`Live::place`].
    pub(crate) replayed: bool,
}

/// Live delivery on this gateway. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Live(Arc<Core>);

struct Core {
    backends: Backends,
    people: People,
    positions: Positions,
    sender: Sender,
    shards: Shards,
    directory: Directory,
    reach: Reach,
    link: watch::Receiver<Link>,
    tasks: Tasks,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// Starts what delivers until `tasks` are stopping.
    pub(crate) fn open(
        gateway: GatewayId,
        backends: &Backends,
        delivery: &Delivery,
        cache: &Cache,
        tasks: &Tasks,
    ) -> Self {
        let people = People::open(backends.clone(), tasks);
        let shards = Shards::open(backends, &people, tasks);
        let live = Self(Arc::new(Core {
            sender: Sender::open(backends.clone(), tasks),
            directory: Directory::open(gateway, cache.clone(), tasks),
            reach: Reach::new(),
            link: delivery.state(),
            positions: Positions::open(backends, tasks),
            backends: backends.clone(),
            tasks: tasks.clone(),
            people,
            shards,
        }));
        live.hear(delivery.subscribe(gateway));
        tails::open(live.clone(), tasks);
        live
    }

    /// Who is who.
    pub(crate) fn people(&self) -> &People {
        &self.0.people
    }

    /// Sends a message for a socket's user and returns when it is stored *and* its answer, if it has one, is in the
    /// socket's queue at its place. `send.call` is filled in here. A fault `OVERLOADED` can also mean that the outcome
    /// is not known.
    pub(crate) async fn send(
        &self,
        seat: &Seat,
        send: Send,
        reply: Option<Reply>,
    ) -> Result<Outcome, Fault> {
        let send = traced(send);
        let expecting = reply.is_some().then(|| seat.place().expect_own());
        let outcome = self.0.sender.send(send).await?;
        match reply {
            Some(reply) => {
                self.place(seat, outcome.entry.clone(), reply).await;
                drop(expecting);
            }
            None if !outcome.replayed => self.feed(vec![outcome.entry.clone()]).await,
            None => {}
        }
        Ok(outcome)
    }

    /// Sends a message that no socket waits for.
    pub(crate) async fn post(&self, send: Send) -> Result<Outcome, Fault> {
        let outcome = self.0.sender.send(traced(send)).await?;
        if !outcome.replayed {
            self.feed(vec![outcome.entry.clone()]).await;
        }
        Ok(outcome)
    }

    /// Answers a request of a socket with an entry that it led to (a join), at the entry's place among the others.
    /// Keep a [`Seat::expecting`] from before the request is made until this is done.
    pub(crate) async fn place(&self, seat: &Seat, entry: Entry, reply: Reply) {
        let thread = entry.thread;
        let (placed, done) = oneshot::channel();
        let command = Command::Own {
            entry: Box::new(entry),
            place: Arc::clone(seat.place()),
            reply,
            placed,
        };
        self.0.shards.own(command, thread);
        // Not told when the process stops.
        let _ = done.await;
    }

    /// Delivers entries that this gateway knows to be committed, without waiting for the broker.
    pub(crate) async fn feed(&self, entries: Vec<Entry>) {
        self.0.shards.entries(entries).await;
    }

    /// Gives a user's socket its seat: entries after this moment reach its queue. When `resume` asks for more, that is
    /// replayed first; [`Seat::ready`] tells when it is through.
    pub(crate) async fn join(
        &self,
        user: Uuid,
        announcer: Arc<dyn Announcer>,
        resume: Resume,
    ) -> Result<Seat, Fault> {
        let present = self.0.directory.enter(user);
        let positions = self.0.positions.of(user).await?;
        let replays = !resume.is_empty();
        let place = Arc::new(Place::new(user, announcer, replays));
        let left = self.0.shards.attach(&place, &positions).await;
        let seat = Seat::new(Arc::clone(&place), present, left);
        if replays {
            let replaying = replay::run(self.clone(), Arc::downgrade(&place), resume, positions);
            let stopping = self.0.tasks.stopping();
            self.0.tasks.spawn("replay", async move {
                stopping.run_until_cancelled(replaying).await;
            });
        }
        Ok(seat)
    }

    /// Whether the conversations have not answered for some seconds, or their database has not answered them.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.0.reach.is_lost()
    }

    /// Whether delivery does without the broker or the directory for now.
    pub(crate) fn degraded(&self) -> Option<&'static str> {
        match *self.0.link.borrow() {
            Link::Down => Some("the broker is away: delivery goes on by reading"),
            Link::Blocked => Some("the broker takes no messages: delivery goes on by reading"),
            Link::Up if self.0.directory.is_away() => {
                Some("the cache is away: events go to every gateway")
            }
            Link::Up => None,
        }
    }

    /// Passes on what the broker says.
    fn hear(&self, mut hints: Subscription) {
        let live = self.clone();
        let stopping = self.0.tasks.stopping();
        self.0.tasks.spawn("hints", async move {
            let heard = async {
                while let Some(Events { entries }) = hints.next().await {
                    live.feed(entries).await;
                }
            };
            stopping.run_until_cancelled(heard).await;
        });
    }
}

/// Many sends share one call, so each carries the context of its request itself.
fn traced(send: Send) -> Send {
    let mut headers = HeaderMap::new();
    trace::inject(&mut headers);
    let traceparent = headers.get("traceparent").and_then(|it| it.to_str().ok());
    Send {
        traceparent: traceparent.unwrap_or_default().to_owned(),
        ..send
    }
}

/// The transport or the process got in the way.
fn away() -> Fault {
    Fault::new(
        Reason::Overloaded,
        "the conversations cannot be reached now",
    )
}
