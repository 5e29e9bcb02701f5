//! The optional copy of every exchange in a stream, for a worker that keeps a database of its own.
//!
//! A queue and one task: entries leave in the order in which their answers came, and a stream that is away holds up
//! nobody. What cannot be written after a few tries, or does not fit into the queue, is lost to the worker and counted
//! in the log; the exchange itself is safe in its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use confab_cache::{Cache, Fields};
use confab_rpc::threads::{AuthorKind, ListMessagesRequest, Message, MessageState, Thread};
use confab_runtime::Tasks;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::chat;
use crate::backends::Backends;

#[cfg(test)]
mod tests;

/// Entries that wait to be written.
const QUEUE: usize = 1024;

/// Pauses between tries.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// One question and its answer, whole.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) thread: Thread,
    pub(super) question: Message,
    pub(super) answer: Message,
    /// What the user has left.
    pub(super) balance_microdollars: i64,
}

/// The way into the queue. Cloning is cheap; the task ends when the last clone is gone and the queue is empty.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    queue: mpsc::Sender<Exchange>,
    lost: Arc<AtomicU64>,
}

impl Mirror {
    /// Starts the task that writes.
    pub(super) fn start(stream: String, cache: Cache, backends: Backends, tasks: &Tasks) -> Self {
        let (queue, mut exchanges) = mpsc::channel(QUEUE);
        let mirror = Self {
            queue,
            lost: Arc::default(),
        };
        let writer = Writer {
            stream,
            cache,
            backends,
            stopping: tasks.stopping(),
        };
        let lost = Arc::clone(&mirror.lost);
        tasks.spawn("mirror", async move {
            while let Some(exchange) = exchanges.recv().await {
                if let Err(error) = writer.write_patiently(&exchange).await {
                    count_lost(&lost, &error.to_string());
                }
            }
        });
        mirror
    }

    /// Hands an exchange over. Never waits.
    pub(super) fn push(&self, exchange: Exchange) {
        if self.queue.try_send(exchange).is_err() {
            count_lost(&self.lost, "too many wait already");
        }
    }
}

fn count_lost(lost: &AtomicU64, reason: &str) {
    let lost = lost.fetch_add(1, Ordering::Relaxed) + 1;
    tracing::error!(reason, lost, "an exchange was not mirrored");
}

/// Why an entry was not written; holds no message text.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    #[error(transparent)]
    Cache(#[from] confab_cache::CacheError),
    #[error("threads: {}", .0.code())]
    Threads(#[from] Status),
}

struct Writer {
    stream: String,
    cache: Cache,
    backends: Backends,
    stopping: CancellationToken,
}

impl Writer {
    async fn write_patiently(&self, exchange: &Exchange) -> Result<(), MirrorError> {
        for pause in PAUSES {
            if self.write(exchange).await.is_ok() {
                return Ok(());
            }
            // A process that stops tries what is left once more, without pauses.
            let pause = tokio::time::sleep(pause);
            if self.stopping.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
        self.write(exchange).await
    }

    async fn write(&self, exchange: &Exchange) -> Result<(), MirrorError> {
        let new = self.is_first(exchange).await?;
        let fields = fields(exchange, new);
        Ok(self.cache.append(&self.stream, fields).await?)
    }

    /// Whether the worker has not heard of this session yet: no earlier question in it was answered. (One whose answer
    /// failed was not mirrored.) The worker makes the session on the first entry, and breaks on a second first one.
    async fn is_first(&self, exchange: &Exchange) -> Result<bool, Status> {
        let mut threads = self.backends.threads();
        let mut after_seq = 0;
        while after_seq + 1 < exchange.question.seq {
            let request = ListMessagesRequest {
                user_id: exchange.thread.owner_id.clone(),
                thread_id: exchange.thread.id.clone(),
                after_seq,
                before_seq: exchange.question.seq,
                // The answer to the first question decides nearly always.
                limit: 2,
                ..Default::default()
            };
            let page = threads.list_messages(request).await?.into_inner().messages;
            if page.iter().any(is_answer) {
                return Ok(false);
            }
            match page.last() {
                Some(last) => after_seq = last.seq,
                None => break,
            }
        }
        Ok(true)
    }
}

fn is_answer(message: &Message) -> bool {
    message.author_kind() == AuthorKind::Model && message.state() == MessageState::Complete
}

/// The nine fields that the worker reads.
pub(super) fn fields(exchange: &Exchange, new: bool) -> Fields {
    let Exchange {
        thread,
        question,
        answer,
        balance_microdollars,
    } = exchange;
    let model = thread.model_id.map(|id| id.to_string());
    let fields = [
        ("userId", thread.owner_id.clone()),
        ("sessionId", thread.id.clone()),
        ("sessionPrompt", thread.instructions.clone()),
        ("modelId", model.unwrap_or_default()),
        ("chats", chat::render(&chat::exchange(question, &[answer]))),
        ("chatsSummary", thread.summary.clone()),
        ("sessionName", thread.title.clone()),
        ("isNew", if new { "new" } else { "old" }.to_owned()),
        ("balance", decimal(*balance_microdollars)),
    ];
    let owned = fields.map(|(name, value)| (name.to_owned(), value));
    owned.to_vec()
}

/// Micro-dollars as dollars with six decimals.
pub(super) fn decimal(microdollars: i64) -> String {
    let sign = if microdollars < 0 { "-" } else { "" };
    let amount = microdollars.unsigned_abs();
    format!("{sign}{}.{:06}", amount / 1_000_000, amount % 1_000_000)
}
