//! Streams of sends: batches in, batches of outcomes out, as they come.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use confab_rpc::Fault;
use confab_rpc::threads::send::Target;
use confab_rpc::threads::{EntryKind, Send, SendBatch, Sent, SentBatch};
use futures_util::{Stream, stream};
use tokio::sync::{Semaphore, mpsc};
use tonic::{Status, Streaming};

use super::Service;
use crate::decode;
use crate::decode::people::Named;
use crate::error::Error;
use crate::people::{Known, Place};
use crate::store::people::places;
use crate::writers::{Answered, Job, Ticket};

/// Sends of one stream that have no outcome yet; more stay in the network.
const IN_FLIGHT: usize = 4096;
/// The most sends, and outcomes, of a batch.
const BATCH: usize = 256;
/// A batch of outcomes ends with the one that takes it beyond this many bytes of text.
const BATCH_BYTES: usize = 1024 * 1024;
/// Threads that are remembered by number: at least so many.
const PLACES: usize = 50_000;

/// What leaves a stream of sends.
pub(super) type SentBatches =
    Pin<Box<dyn Stream<Item = Result<SentBatch, Status>> + std::marker::Send>>;

/// What threads are, by number; shared by all streams. It is never locked across an await.
#[derive(Debug)]
pub(super) struct Places(Mutex<Known<i64, Place>>);

impl Default for Places {
    fn default() -> Self {
        Self(Mutex::new(Known::new(PLACES)))
    }
}

impl Places {
    fn get(&self, number: i64) -> Option<Place> {
        self.lock().get(number)
    }

    fn insert(&self, number: i64, place: Place) {
        self.lock().insert(number, place);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known<i64, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands what comes in to the writers, in a task of its own, and gives out their answers.
pub(super) fn answer(service: &Service, sends: Streaming<SendBatch>) -> SentBatches {
    let (outcomes, answers) = mpsc::channel(IN_FLIGHT);
    let stopping = service.tasks.stopping();
    let reader = Reader {
        service: service.clone(),
        outcomes,
        permits: Arc::new(Semaphore::new(IN_FLIGHT)),
    };
    service.tasks.spawn("threads sends", async move {
        let gone = reader.outcomes.clone();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = gone.closed() => {}
            () = reader.read(sends) => {}
        }
    });
    Box::pin(stream::unfold(answers, |mut answers| async {
        let first = answers.recv().await?;
        let batch = ready(first, &mut answers);
        Some((Ok(batch), answers))
    }))
}

/// What is ready leaves together.
fn ready(first: Answered, answers: &mut mpsc::Receiver<Answered>) -> SentBatch {
    let mut bytes = size(&first.0);
    let mut sent = vec![first.0];
    while sent.len() < BATCH && bytes < BATCH_BYTES {
        let Ok((next, _)) = answers.try_recv() else {
            break;
        };
        bytes += size(&next);
        sent.push(next);
    }
    SentBatch { sent }
}

fn size(sent: &Sent) -> usize {
    prost::Message::encoded_len(sent)
}

struct Reader {
    service: Service,
    outcomes: mpsc::Sender<Answered>,
    permits: Arc<Semaphore>,
}

impl Reader {
    /// Until the caller ends the stream or it breaks. Outcomes that are still to come leave after that.
    async fn read(&self, mut batches: Streaming<SendBatch>) {
        while let Ok(Some(batch)) = batches.message().await {
            let named = self.named(&batch.sends).await;
            for send in batch.sends {
                let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                    return;
                };
                let ticket = Ticket {
                    call: send.call,
                    outcomes: self.outcomes.clone(),
                    permit,
                };
                let entry = match &named {
                    Ok(named) => decode::people::new_entry(send, named).map_err(Fault::from),
                    Err(fault) => Err(fault.clone()),
                };
                match entry {
                    Ok(entry) => self.service.writers.send(Job { entry, ticket }),
                    Err(fault) => ticket.refuse(fault),
                }
            }
        }
    }

    /// What a batch's sends name; it is asked for before any of them goes on, so that they keep their order.
    async fn named(&self, sends: &[Send]) -> Result<Named, Fault> {
        let mut named = Named::default();
        if sends.len() > BATCH {
            return Err(Error::Invalid("a batch must have at most 256 sends").into());
        }
        let mut unknown = Vec::new();
        let mut files = Vec::new();
        for send in sends {
            if send.kind() == EntryKind::Announcement {
                files.push(send.announces);
            } else if let Some(Target::Thread(number)) = send.target {
                match self.service.places.get(number) {
                    Some(place) => {
                        named.places.insert(number, place);
                    }
                    None => unknown.push(number),
                }
            }
        }
        if !unknown.is_empty() {
            let found = places::places(&self.service.database, unknown)
                .await
                .map_err(Error::from)?;
            for (number, place) in found {
                self.service.places.insert(number, place);
                named.places.insert(number, place);
            }
        }
        if !files.is_empty() {
            named.files = places::files(&self.service.database, files)
                .await
                .map_err(Error::from)?;
        }
        Ok(named)
    }
}
