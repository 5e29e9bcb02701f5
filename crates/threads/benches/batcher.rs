//! What it costs to store messages that arrive together: one stream, group commit, SQLite on this machine's disk.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

use std::sync::Arc;
use std::time::Duration;

use confab_database::scratch::{Scratch, settings};
use confab_migrations::threads::Migrator;
use confab_rpc::Lane;
use confab_rpc::threads::people_client::PeopleClient;
use confab_rpc::threads::send::Target;
use confab_rpc::threads::{Entry, EntryKind, Send, SendBatch, SentBatch};
use confab_runtime::{SystemClock, Tasks};
use confab_threads::{Outlet, Service, Settings};
use criterion::{Criterion, Throughput};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use uuid::Uuid;

/// Pairs of people who write.
const PAIRS: usize = 256;

/// Tells nobody.
#[derive(Debug)]
struct Nowhere;

impl Outlet for Nowhere {
    fn committed(&self, _: &[Entry]) {}
}

/// A stream of sends to a service.
struct Course {
    pairs: Vec<(String, String)>,
    sends: UnboundedSender<SendBatch>,
    outcomes: Streaming<SentBatch>,
    _scratch: Scratch,
}

impl Course {
    async fn begin() -> Self {
        let scratch = Scratch::sqlite().await;
        scratch.database.migrate::<Migrator>().await.unwrap();
        let settings = Settings {
            database: settings("sqlite:opened-already"),
            writers: 2,
        };
        let (outlet, clock) = (Arc::new(Nowhere), Arc::new(SystemClock));
        let service = Service::open(
            scratch.database.clone(),
            &settings,
            outlet,
            clock,
            Tasks::new(),
        );
        let lane = Lane::local(service.routes(), Duration::from_mins(1));
        let (sends, stream) = unbounded_channel();
        let stream = UnboundedReceiverStream::new(stream);
        let outcomes = PeopleClient::new(lane).send(stream).await.unwrap();
        let person = || Uuid::now_v7().to_string();
        Self {
            pairs: (0..PAIRS).map(|_| (person(), person())).collect(),
            sends,
            outcomes: outcomes.into_inner(),
            _scratch: scratch,
        }
    }

    /// Stores so many messages, each of another pair.
    async fn store(&mut self, messages: usize) {
        let send = |(author, receiver): &(String, String)| Send {
            user_id: author.clone(),
            target: Some(Target::ReceiverId(receiver.clone())),
            kind: EntryKind::Text.into(),
            content: "Meet me at the harbour at nine, and bring the map.".to_owned(),
            client_msg_id: Uuid::now_v7().to_string(),
            ..Send::default()
        };
        let sends = self.pairs[..messages].iter().map(send).collect();
        self.sends.send(SendBatch { sends }).unwrap();
        let mut missing = messages;
        while missing > 0 {
            let batch = self.outcomes.message().await.unwrap().unwrap();
            missing -= batch.sent.len();
        }
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("group commit on SQLite");
    for messages in [1, 16, 256] {
        let mut course = runtime.block_on(Course::begin());
        group.throughput(Throughput::Elements(messages as u64));
        group.bench_function(messages.to_string(), |bencher| {
            bencher.iter(|| runtime.block_on(course.store(messages)));
        });
    }
    group.finish();
    criterion.final_summary();
}
