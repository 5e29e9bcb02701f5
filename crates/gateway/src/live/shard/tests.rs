use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use confab_rpc::Lane;
use confab_rpc::threads::{Entry, EntryKind, Position, ThreadKind};
use confab_runtime::Tasks;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::Shards;
use crate::backends::Backends;
use crate::live::people::People;
use crate::live::seat::Place;
use crate::live::{Announcement, Announcer, Known};

const THREAD: i64 = 7;
const BEHIND_THE_FIRST: Position = Position {
    thread: THREAD,
    seq: 1,
};

/// Shows an entry as its number.
struct Plain;

impl Announcer for Plain {
    fn needs(&self, _entry: &Entry) -> Vec<String> {
        Vec::new()
    }

    fn announce(&self, entry: &Entry, _known: &Known) -> Announcement {
        let frame = Some(ByteString::from(entry.seq.to_string()));
        Announcement {
            to_author: frame.clone(),
            to_others: frame,
        }
    }
}

/// Shards whose services are away: whatever is delivered was heard of.
fn shards(tasks: &Tasks) -> Shards {
    let nobody = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let lane = || Lane::remote(nobody.clone(), Duration::from_secs(1));
    let backends = Backends::new(lane(), lane(), lane(), lane(), lane());
    let people = People::open(backends.clone(), tasks);
    Shards::open(&backends, &people, tasks)
}

fn socket(user: Uuid, room: &Arc<dyn Announcer>) -> Arc<Place> {
    Arc::new(Place::new(user, Arc::clone(room), false))
}

fn entry(seq: i64, author: Uuid, receiver: Uuid) -> Entry {
    Entry {
        thread: THREAD,
        seq,
        thread_kind: ThreadKind::Direct.into(),
        kind: EntryKind::Text.into(),
        author_id: author.to_string(),
        receiver_id: receiver.to_string(),
        ..Entry::default()
    }
}

async fn next(place: &Place) -> String {
    let filled = std::future::poll_fn(|context| place.queue.poll_turn(context, false));
    timeout(Duration::from_secs(30), filled)
        .await
        .unwrap()
        .unwrap();
    let frame = place.queue.pop().unwrap();
    String::from_utf8(frame.bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_socket_hears_a_new_thread_from_its_beginning_though_a_later_one_knows_it() {
    let tasks = Tasks::new();
    let shards = shards(&tasks);
    let room: Arc<dyn Announcer> = Arc::new(Plain);
    let (ann, ben) = (Uuid::now_v7(), Uuid::now_v7());
    // The first message of a thread is stored; before its author is told of it, they open another socket.
    let (early, late) = (socket(ann, &room), socket(ann, &room));
    let _early = shards.attach(&early, &[]).await;
    let _late = shards.attach(&late, &[BEHIND_THE_FIRST]).await;
    shards
        .entries(vec![entry(1, ann, ben), entry(2, ben, ann)])
        .await;
    for place in [&early, &late] {
        assert_eq!(next(place).await, "1");
        assert_eq!(next(place).await, "2");
    }
}

#[tokio::test]
async fn a_receiver_hears_a_new_thread_from_its_beginning_though_its_author_came_later() {
    let tasks = Tasks::new();
    let shards = shards(&tasks);
    let room: Arc<dyn Announcer> = Arc::new(Plain);
    let (ann, ben) = (Uuid::now_v7(), Uuid::now_v7());
    let (receiver, author) = (socket(ben, &room), socket(ann, &room));
    let _receiver = shards.attach(&receiver, &[]).await;
    let _author = shards.attach(&author, &[BEHIND_THE_FIRST]).await;
    shards
        .entries(vec![entry(1, ann, ben), entry(2, ann, ben)])
        .await;
    assert_eq!(next(&receiver).await, "1");
    assert_eq!(next(&receiver).await, "2");
    assert_eq!(
        next(&author).await,
        "2",
        "the first one was there when it came"
    );
}
