//! An entry on its way to many sockets, without the sockets.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use confab_rpc::Lane;
use confab_rpc::threads::{Entry, Position, ThreadKind};
use confab_runtime::Tasks;
use tokio::sync::oneshot;
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::announcer::{Announcement, Announcer};
use super::people::{Known, People};
use super::seat::Place;
use super::shard::{Attached, Command, Shards};
use crate::backends::Backends;
use crate::bench::entry;

/// Sockets of each user.
const EACH: usize = 10;

/// Shows an entry as its text.
struct Plain;

impl Announcer for Plain {
    fn needs(&self, _entry: &Entry) -> Vec<String> {
        Vec::new()
    }

    fn announce(&self, entry: &Entry, _known: &Known) -> Announcement {
        let frame = Some(ByteString::from(entry.content.as_str()));
        Announcement {
            to_author: frame.clone(),
            to_others: frame,
        }
    }
}

/// A room with so many sockets in it.
pub struct FanOut {
    shards: Shards,
    places: Vec<Arc<Place>>,
    /// Who is told when everybody has it.
    outside: Arc<Place>,
    entry: Entry,
    _attached: Vec<Attached>,
    _tasks: Tasks,
}

impl FanOut {
    /// Everybody comes in.
    pub async fn open(sockets: usize) -> Self {
        let tasks = Tasks::new();
        // Nothing is asked of it.
        let nobody = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let lane = || Lane::remote(nobody.clone(), Duration::from_secs(1));
        let backends = Backends::new(lane(), lane(), lane(), lane(), lane());
        let people = People::open(backends.clone(), &tasks);
        let shards = Shards::open(&backends, &people, &tasks);
        let entry = Entry {
            seq: 0,
            ..entry(ThreadKind::Group)
        };
        let room: Arc<dyn Announcer> = Arc::new(Plain);
        let positions = [Position {
            thread: entry.thread,
            seq: 0,
        }];
        let (mut places, mut attached) = (Vec::new(), Vec::new());
        let mut user = Uuid::now_v7();
        for socket in 0..sockets {
            if socket % EACH == 0 {
                user = Uuid::now_v7();
            }
            let place = Arc::new(Place::new(user, Arc::clone(&room), false));
            attached.push(shards.attach(&place, &positions).await);
            places.push(place);
        }
        Self {
            shards,
            places,
            outside: Arc::new(Place::new(Uuid::now_v7(), room, false)),
            entry,
            _attached: attached,
            _tasks: tasks,
        }
    }

    /// The next entry, into every queue and out of it.
    ///
    /// # Panics
    /// When a socket does not get it.
    pub async fn deliver(&mut self) {
        self.entry.seq += 1;
        let (placed, done) = oneshot::channel();
        let own = Command::Own {
            entry: Box::new(self.entry.clone()),
            place: Arc::clone(&self.outside),
            reply: Box::new(|_| ByteString::new()),
            placed,
        };
        self.shards.own(own, self.entry.thread);
        let told = done.await.is_ok();
        let taken = self.places.iter().filter_map(|place| place.queue.pop());
        assert!(told && taken.count() == self.places.len(), "lost");
        self.outside.queue.pop();
    }
}

impl std::fmt::Debug for FanOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FanOut").finish_non_exhaustive()
    }
}
