//! Where entries go, what waits, and what happens to what a dead replica left.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use confab_cache::Cache;
use confab_database::Database;
use confab_database::scratch::Scratch;
use confab_delivery::{Delivery, GatewayId, Subscription, To};
use confab_rpc::delivery::Events;
use confab_rpc::threads::{Entry, ThreadKind};
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, SystemClock, Tasks};
use tokio::time::Instant;
use uuid::Uuid;

use super::Relay;
use super::marks::Marks;
use super::queue::Queue;
use super::routes::{Known, group};
use crate::Outlet;
use crate::store::people::Conversations;

fn entry(id: i64) -> Entry {
    Entry {
        id,
        thread_kind: ThreadKind::Group.into(),
        ..Entry::default()
    }
}

fn direct(id: i64, author: Uuid, receiver: Uuid) -> Entry {
    Entry {
        id,
        thread_kind: ThreadKind::Direct.into(),
        author_id: author.to_string(),
        receiver_id: receiver.to_string(),
        ..Entry::default()
    }
}

fn ids(events: &Events) -> Vec<i64> {
    events.entries.iter().map(|entry| entry.id).collect()
}

fn users<const N: usize>() -> [Uuid; N] {
    [(); N].map(|()| Uuid::now_v7())
}

fn delivery() -> Delivery {
    let settings = confab_delivery::Settings {
        url: "".into(),
        exchange: "confab.events".to_owned(),
        queue_length: 10_000,
        prefetch: 256,
        confirm_window: 64,
        confirm_timeout_ms: 5000,
    };
    Delivery::open(&settings, &Tasks::new()).unwrap()
}

fn cache(url: &str) -> Cache {
    let settings = confab_cache::Settings {
        url: url.into(),
        timeout_ms: 500,
    };
    Cache::open(&settings).unwrap()
}

#[test]
fn an_entry_goes_to_the_gateways_of_both_people() {
    let [anna, ben, carl] = users();
    let [first, second, third] = [(); 3].map(|()| GatewayId::new());
    let known = Known::from([
        (anna, vec![first]),
        (ben, vec![second, first]),
        (carl, vec![third]),
    ]);
    let entries = vec![
        direct(1, anna, ben),
        direct(2, carl, anna),
        direct(3, ben, anna),
        direct(4, carl, carl),
    ];
    let messages = group(entries, &known);
    let of = |gateway| {
        let message = messages
            .iter()
            .find(|(to, _)| *to == To::Gateways(vec![gateway]));
        ids(&message.unwrap().1)
    };
    assert_eq!(messages.len(), 3, "one message for each gateway");
    assert_eq!(of(first), [1, 2, 3]);
    assert_eq!(of(second), [1, 3]);
    assert_eq!(of(third), [2, 4]);
}

#[test]
fn what_is_not_known_goes_to_all() {
    let [anna, ben, busy] = users();
    let known = Known::from([
        (anna, vec![GatewayId::new()]),
        (ben, vec![]),
        (busy, (0..9).map(|_| GatewayId::new()).collect()),
    ]);
    let malformed = Entry {
        receiver_id: "nobody".to_owned(),
        ..direct(5, anna, anna)
    };
    let entries = vec![
        direct(1, anna, Uuid::now_v7()),
        entry(2),
        direct(3, anna, ben),
        direct(4, anna, busy),
        malformed,
    ];
    let messages = group(entries, &known);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].0, To::All);
    assert_eq!(ids(&messages[0].1), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn the_queue_is_bounded_and_forms_batches() {
    let queue = Queue::default();
    let entries: Vec<_> = (0..70_000).map(entry).collect();
    queue.push(&entries);
    let counts = queue.counts();
    assert_eq!((counts.pushed, counts.dropped), (65_536, 70_000 - 65_536));
    let mut next = 0;
    while next < 65_536 {
        let batch = queue.take().await;
        assert_eq!(batch.len(), 512);
        assert!(batch.iter().zip(next..).all(|(entry, id)| entry.id == id));
        next += 512;
    }

    let large = Entry {
        content: "x".repeat(1024 * 1024),
        ..entry(0)
    };
    queue.push(&vec![large; 100]);
    assert!(
        queue.dropped() > counts.dropped,
        "bytes are bounded as well"
    );
    assert_eq!(queue.take().await.len(), 1, "larger than a batch: alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_reaches_the_gateways_that_need_it() {
    for url in ["", "redis://127.0.0.1:1"] {
        let scratch = migrated(Scratch::sqlite().await).await;
        let (delivery, cache, tasks) = (delivery(), cache(url), Tasks::new());
        let [anna, ben] = users();
        let [near, far] = [(); 2].map(|()| GatewayId::new());
        let mut at_near = delivery.subscribe(near);
        let mut at_far = delivery.subscribe(far);
        let away = cache
            .beat(&near.to_string(), Duration::from_secs(30))
            .await
            .is_err();
        assert_eq!(away, !url.is_empty());
        if !away {
            let both = [anna, ben];
            let ttl = Duration::from_secs(30);
            cache.seen(&near.to_string(), &both, ttl).await.unwrap();
        }

        let clock = Arc::new(SystemClock);
        let database = scratch.database.clone();
        let relay = Relay::start(delivery, cache, database, clock, &tasks);
        relay.committed(&[direct(1, anna, ben)]);
        assert_eq!(ids(&at_near.next().await.unwrap()), [1]);
        relay.committed(&[entry(2)]);
        assert_eq!(ids(&at_near.next().await.unwrap()), [2]);
        let first = ids(&at_far.next().await.unwrap());
        assert_eq!(first, [if away { 1 } else { 2 }]);
        assert!(tasks.stop(Duration::from_secs(10)).await);
    }
}

/// Two replicas over one database, of which time is told.
struct World {
    _scratch: Scratch,
    database: Database,
    delivery: Delivery,
    gateway: Subscription,
    clock: ManualClock,
    start: Instant,
}

async fn migrated(scratch: Scratch) -> Scratch {
    let database = &scratch.database;
    database
        .migrate::<confab_migrations::threads::Migrator>()
        .await
        .unwrap();
    scratch
}

impl World {
    async fn both() -> Vec<Self> {
        let mut worlds = Vec::new();
        for scratch in Scratch::both().await {
            let scratch = migrated(scratch).await;
            let delivery = delivery();
            worlds.push(Self {
                database: scratch.database.clone(),
                _scratch: scratch,
                gateway: delivery.subscribe(GatewayId::new()),
                delivery,
                clock: ManualClock::at(SystemClock.now()),
                start: Instant::now(),
            });
        }
        worlds
    }

    fn replica(&self) -> (Marks, Arc<Queue>) {
        let queue = Arc::new(Queue::default());
        let marks = Marks::new(
            self.database.clone(),
            self.delivery.clone(),
            Arc::clone(&queue),
            Arc::new(self.clock.clone()),
        );
        (marks, queue)
    }

    /// Commits entries: people who join a group.
    async fn commit(&self, count: usize) {
        let owner = Uuid::now_v7();
        let group = Conversations::of(&self.database, owner)
            .create_group(self.clock.now())
            .await
            .unwrap();
        for _ in 0..count {
            let user = Uuid::now_v7();
            Conversations::of(&self.database, user)
                .join(group.row.number, None, self.clock.now())
                .await
                .unwrap();
        }
    }

    async fn beat(&self, marks: &mut Marks, second: u64) {
        self.clock.advance(TimeDelta::seconds(1));
        let now = self.start + Duration::from_secs(second);
        marks.beat(now).await.unwrap();
    }

    /// How many entries have been published since the last time.
    async fn published(&mut self) -> usize {
        let end = Events {
            entries: vec![entry(-1)],
        };
        self.delivery.publish(&To::All, end.clone()).await.unwrap();
        let mut count = 0;
        loop {
            let events = self.gateway.next().await.unwrap();
            if events == end {
                return count;
            }
            count += events.entries.len();
        }
    }
}

#[tokio::test]
async fn a_restart_publishes_what_the_crash_left() {
    for mut world in World::both().await {
        let (mut before, _) = world.replica();
        world.beat(&mut before, 0).await;
        world.commit(3).await;
        drop(before);

        let (mut after, _) = world.replica();
        world.beat(&mut after, 1).await;
        assert_eq!(world.published().await, 3, "at once");
        world.beat(&mut after, 2).await;
        assert_eq!(world.published().await, 0, "and once");
        for second in 3..=4 {
            world.beat(&mut after, second).await;
        }
        assert_eq!(
            world.published().await,
            3,
            "what was being committed when it died"
        );
        for second in 5..=9 {
            world.beat(&mut after, second).await;
        }
        assert_eq!(world.published().await, 0, "the mark is taken over");

        let (mut next, _) = world.replica();
        world.beat(&mut next, 10).await;
        assert_eq!(
            world.published().await,
            0,
            "what is long published is not published again"
        );
    }
}

#[tokio::test]
async fn a_replica_takes_over_from_one_that_died() {
    for mut world in World::both().await {
        let (mut dying, _) = world.replica();
        let (mut alive, _) = world.replica();
        for second in 0..8 {
            world.beat(&mut dying, second).await;
            world.beat(&mut alive, second).await;
        }
        assert_eq!(world.published().await, 0, "both are alive");
        world.commit(2).await;
        for second in 8..10 {
            world.beat(&mut alive, second).await;
        }
        assert_eq!(world.published().await, 0, "it may be slow");
        world.beat(&mut alive, 10).await;
        assert_eq!(world.published().await, 2);
        world.beat(&mut alive, 11).await;
        assert_eq!(world.published().await, 0);
    }
}

#[tokio::test]
async fn a_replica_that_lags_does_not_move_its_mark() {
    for mut world in World::both().await {
        let (mut lagging, queue) = world.replica();
        for second in 0..7 {
            world.beat(&mut lagging, second).await;
        }
        world.commit(4).await;
        queue.push(&[entry(1)]);
        for second in 7..20 {
            world.beat(&mut lagging, second).await;
        }
        drop(lagging);
        let (mut next, _) = world.replica();
        world.beat(&mut next, 20).await;
        assert_eq!(world.published().await, 4);

        let (mut keeping_up, queue) = world.replica();
        queue.push(&[entry(1)]);
        queue.settle(1);
        for second in 20..40 {
            world.beat(&mut keeping_up, second).await;
        }
        drop((keeping_up, next));
        world.published().await;
        let (mut last, _) = world.replica();
        world.beat(&mut last, 40).await;
        assert_eq!(world.published().await, 0);
    }
}
