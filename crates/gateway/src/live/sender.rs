//! Sends of all sockets over one stream to `threads`: what waits while a batch is written leaves together.

use std::collections::BTreeMap;
use std::time::Duration;

use confab_rpc::threads::{Send, SendBatch, Sent, SentBatch, sent};
use confab_rpc::{Fault, Reason};
use confab_runtime::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Outcome, away};
use crate::backends::Backends;

/// Sends of one batch.
const BATCH: usize = 256;

/// Bytes of a batch from which it takes no further send; with the last one it stays below what `threads` takes.
const BATCH_BYTES: usize = 768 * 1024;

/// What a send takes beside its content, at most about.
const SEND_BYTES: usize = 1024;

/// Sends that wait for their batch; more wait with their sockets.
const QUEUE: usize = 4096;

/// How long a send may take, with the time of a reconnection.
const PATIENCE: Duration = Duration::from_secs(8);

/// Time between attempts to reach `threads` for sends that may be repeated.
const PAUSE: Duration = Duration::from_millis(200);

/// The way of all sends. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    queue: mpsc::Sender<Waiting>,
}

/// A send whose outcome is not known yet.
#[derive(Debug)]
struct Waiting {
    send: Send,
    answer: oneshot::Sender<Result<Outcome, Fault>>,
    /// It was written to a stream that broke.
    repeated: bool,
}

impl Sender {
    pub(super) fn open(backends: Backends, tasks: &Tasks) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let stopping = tasks.stopping();
        let stream = Stream {
            backends,
            queue: waiting,
            pending: BTreeMap::new(),
            calls: 0,
        };
        tasks.spawn("sends", async move {
            // What is under way is committed or not; its sockets end at the same time.
            stopping.run_until_cancelled(stream.run()).await;
        });
        Self { queue }
    }

    /// The outcome of a send, after its commit. With a `client_msg_id` it is repeated over a stream that broke.
    pub(super) async fn send(&self, send: Send) -> Result<Outcome, Fault> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            send,
            answer,
            repeated: false,
        };
        let outcome = async {
            self.queue.send(waiting).await.map_err(|_| away())?;
            answered.await.map_err(|_| away())?
        };
        timeout(PATIENCE, outcome).await.map_err(|_| away())?
    }
}

struct Stream {
    backends: Backends,
    queue: mpsc::Receiver<Waiting>,
    /// By call, so in the order in which they came.
    pending: BTreeMap<u64, Waiting>,
    calls: u64,
}

impl Stream {
    async fn run(mut self) {
        loop {
            if self.pending.is_empty() {
                let Some(first) = self.queue.recv().await else {
                    return;
                };
                self.accept(vec![first]);
            }
            match self.connect().await {
                Ok((batches, outcomes)) => self.pump(batches, outcomes).await,
                Err(fault) => {
                    tracing::warn!(%fault, "messages cannot be sent");
                    self.refuse();
                    sleep(PAUSE).await;
                }
            }
            self.keep_repeatable();
        }
    }

    async fn connect(&self) -> Result<(mpsc::Sender<SendBatch>, Streaming<SentBatch>), Fault> {
        let (batches, written) = mpsc::channel(1);
        let mut people = self.backends.people();
        let outcomes = people.send(ReceiverStream::new(written)).await?;
        Ok((batches, outcomes.into_inner()))
    }

    /// Writes batches and hands out outcomes until the stream breaks.
    async fn pump(&mut self, batches: mpsc::Sender<SendBatch>, mut outcomes: Streaming<SentBatch>) {
        let mut unwritten: Vec<Send> = self.pending.values().map(|it| it.send.clone()).collect();
        let mut arrived = Vec::new();
        loop {
            tokio::select! {
                biased;
                outcome = outcomes.message() => match outcome {
                    Ok(Some(batch)) => batch.sent.into_iter().for_each(|sent| self.answer(sent)),
                    Ok(None) => return,
                    Err(status) => {
                        tracing::warn!(fault = %Fault::from(status), "the stream of sends broke");
                        return;
                    }
                },
                permit = batches.reserve(), if !unwritten.is_empty() => match permit {
                    Ok(permit) => permit.send(SendBatch { sends: next_batch(&mut unwritten) }),
                    Err(_) => return,
                },
                taken = self.queue.recv_many(&mut arrived, BATCH), if unwritten.len() < BATCH => {
                    if taken == 0 {
                        return;
                    }
                    unwritten.extend(self.accept(std::mem::take(&mut arrived)));
                }
            }
        }
    }

    /// Numbers sends and remembers who waits for them.
    fn accept(&mut self, arrived: Vec<Waiting>) -> Vec<Send> {
        let numbered = arrived.into_iter().map(|mut waiting| {
            self.calls += 1;
            waiting.send.call = self.calls;
            let send = waiting.send.clone();
            self.pending.insert(self.calls, waiting);
            send
        });
        numbered.collect()
    }

    fn answer(&mut self, sent: Sent) {
        let Some(waiting) = self.pending.remove(&sent.call) else {
            return;
        };
        let outcome = match sent.outcome {
            Some(sent::Outcome::Entry(entry)) => Ok(Outcome {
                entry,
                // The first attempt of a repeated send was never answered: for the room this is the first answer.
                replayed: sent.replayed && !waiting.repeated,
            }),
            Some(sent::Outcome::Fault(fault)) => Err(Fault {
                reason: fault.reason(),
                limit: Some(fault.limit).filter(|limit| *limit > 0),
                message: fault.message,
            }),
            None => Err(Fault::new(Reason::Internal, "a send without an outcome")),
        };
        // Whoever waited may have gone.
        let _ = waiting.answer.send(outcome);
    }

    /// Turns away what came while `threads` cannot be reached; it was not written.
    fn refuse(&mut self) {
        while let Ok(waiting) = self.queue.try_recv() {
            if waiting.send.client_msg_id.is_empty() {
                let _ = waiting.answer.send(Err(away()));
            } else {
                self.accept(vec![waiting]);
            }
        }
    }

    /// Keeps the sends that may be written once more; the outcome of the others stays unknown.
    fn keep_repeatable(&mut self) {
        for (call, mut waiting) in std::mem::take(&mut self.pending) {
            if waiting.send.client_msg_id.is_empty() {
                let _ = waiting.answer.send(Err(away()));
            } else if !waiting.answer.is_closed() {
                waiting.repeated = true;
                self.pending.insert(call, waiting);
            }
        }
    }
}

fn next_batch(unwritten: &mut Vec<Send>) -> Vec<Send> {
    let mut bytes = 0;
    let fits = |send: &&Send| {
        let before = bytes;
        bytes += send.content.len() + SEND_BYTES;
        before < BATCH_BYTES
    };
    let count = unwritten.iter().take(BATCH).take_while(fits).count();
    unwritten.drain(..count).collect()
}
