//! One or two instances of the service on one database, and calls with what a test does not care about filled in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use confab_database::Database;
use confab_database::scratch::Scratch;
use confab_migrations::threads::Migrator;
use confab_rpc::threads::people_client::PeopleClient;
use confab_rpc::threads::send::Target;
use confab_rpc::threads::sent::Outcome as Fate;
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_rpc::threads::{AttachmentRef, Entry, EntryKind, Send, SendBatch, Sent};
use confab_rpc::{Fault, Lane, Reason};
use confab_runtime::clock::ManualClock;
use confab_threads::Outlet;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::world::{Outcome, service, uuid};

/// Remembers what was committed.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Entry>>);

impl Heard {
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }
}

impl Outlet for Heard {
    fn committed(&self, entries: &[Entry]) {
        self.0.lock().unwrap().extend_from_slice(entries);
    }
}

/// The service on a database of its own.
pub(crate) struct Town {
    pub(crate) clock: ManualClock,
    pub(crate) heard: Arc<Heard>,
    lanes: Vec<Lane>,
    scratch: Scratch,
}

impl Town {
    /// One instance on each database.
    pub(crate) async fn both() -> Vec<Self> {
        let [sqlite, postgres] = Scratch::both().await;
        vec![Self::on(sqlite, 1).await, Self::on(postgres, 1).await]
    }

    /// Two instances on one PostgreSQL database.
    pub(crate) async fn replicas() -> Self {
        Self::on(Scratch::postgres().await, 2).await
    }

    async fn on(scratch: Scratch, instances: usize) -> Self {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let clock = ManualClock::at(DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap());
        let heard = Arc::new(Heard::default());
        let lanes = (0..instances).map(|_| {
            let outlet = Arc::clone(&heard) as Arc<dyn Outlet>;
            let service = service(&scratch.database, &clock, outlet);
            Lane::local(service.routes(), Duration::from_mins(1))
        });
        Self {
            lanes: lanes.collect(),
            clock,
            heard,
            scratch,
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.scratch.database
    }

    pub(crate) fn people(&self) -> PeopleClient<Lane> {
        self.replica(0)
    }

    pub(crate) fn replica(&self, instance: usize) -> PeopleClient<Lane> {
        PeopleClient::new(self.lanes[instance].clone())
    }

    pub(crate) fn threads(&self) -> ThreadsClient<Lane> {
        ThreadsClient::new(self.lanes[0].clone())
    }

    /// Sends in one batch and gives the outcomes in the order of the sends.
    pub(crate) async fn send(&self, sends: Vec<Send>) -> Vec<Outcome<(Entry, bool)>> {
        deliver(self.people(), vec![sends]).await
    }

    pub(crate) async fn send_one(&self, send: Send) -> Outcome<(Entry, bool)> {
        self.send(vec![send]).await.remove(0)
    }

    /// A message that must be stored.
    pub(crate) async fn say(&self, send: Send) -> Entry {
        self.send_one(send).await.unwrap().0
    }
}

/// Sends these batches over one stream and gives the outcomes in the order of the sends.
pub(crate) async fn deliver(
    mut people: PeopleClient<Lane>,
    batches: Vec<Vec<Send>>,
) -> Vec<Outcome<(Entry, bool)>> {
    let (queue, stream) = mpsc::unbounded_channel();
    let mut call = 0;
    for mut sends in batches {
        for send in &mut sends {
            send.call = call;
            call += 1;
        }
        queue.send(SendBatch { sends }).unwrap();
    }
    drop(queue);
    let stream = UnboundedReceiverStream::new(stream);
    let mut replies = people.send(stream).await.unwrap().into_inner();
    let mut sent = Vec::new();
    while let Some(batch) = replies.message().await.unwrap() {
        sent.extend(batch.sent);
    }
    sent.sort_by_key(|sent| sent.call);
    let calls: Vec<u64> = sent.iter().map(|sent| sent.call).collect();
    assert_eq!(calls, (0..call).collect::<Vec<_>>());
    sent.into_iter().map(fate).collect()
}

fn fate(sent: Sent) -> Outcome<(Entry, bool)> {
    match sent.outcome.unwrap() {
        Fate::Entry(entry) => Ok((entry, sent.replayed)),
        Fate::Fault(fault) => Err(Fault::from(fault).reason),
    }
}

pub(crate) fn text(author: &str, target: Target, content: &str) -> Send {
    Send {
        user_id: author.into(),
        target: Some(target),
        kind: EntryKind::Text.into(),
        content: content.into(),
        ..Default::default()
    }
}

pub(crate) fn to(author: &str, receiver: &str, content: &str) -> Send {
    text(author, Target::ReceiverId(receiver.into()), content)
}

pub(crate) fn into(author: &str, thread: i64, content: &str) -> Send {
    text(author, Target::Thread(thread), content)
}

pub(crate) fn keyed(send: Send, key: &str) -> Send {
    Send {
        client_msg_id: key.into(),
        ..send
    }
}

pub(crate) fn file(send: Send) -> Send {
    Send {
        kind: EntryKind::File.into(),
        attachments: vec![AttachmentRef {
            id: uuid(),
            name: "plan.pdf".into(),
            size: 7,
            title: "Plan".into(),
        }],
        ..send
    }
}

pub(crate) fn announcement(author: &str, file: i64) -> Send {
    Send {
        user_id: author.into(),
        kind: EntryKind::Announcement.into(),
        announces: file,
        ..Default::default()
    }
}

pub(crate) const NOT_THERE: Reason = Reason::ThreadNotFound;
