//! Messages on their way into the exchange.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

/// Delivery mode of a message that need not survive the broker.
const TRANSIENT: u8 = 1;

/// How often something is published at least, unless something waits for its confirmation. A broker that is short of
/// memory or disk tells only those who publish, and a gateway has nothing to publish.
const PROBE: Duration = Duration::from_millis(500);

/// The routing key of a probe, which leads to no queue.
const NOBODY: &str = "";

/// One message for one routing key.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: String,
    pub(super) body: Arc<[u8]>,
    pub(super) traceparent: Option<String>,
    /// Told whether the broker has taken it.
    pub(super) confirmed: oneshot::Sender<bool>,
    /// Its place in the window, until it is confirmed.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Job {
    /// A message for nobody.
    fn probe() -> Self {
        Self {
            key: NOBODY.to_owned(),
            body: Arc::default(),
            traceparent: None,
            confirmed: oneshot::channel().0,
            permit: None,
        }
    }
}

/// Publishes what comes, in order, while earlier messages wait for their confirmations. Ends when the channel does.
pub(super) async fn publish(
    channel: &Channel,
    exchange: &ShortString,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
) -> Result<Infallible, lapin::Error> {
    let mut unconfirmed = FuturesUnordered::new();
    let mut probes = interval(PROBE);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let job = tokio::select! {
            Some(outcome) = unconfirmed.next() => {
                outcome?;
                continue;
            }
            Some(job) = jobs.recv() => job,
            _ = probes.tick(), if unconfirmed.is_empty() => Job::probe(),
        };
        let confirm = send(channel, exchange, &job).await?;
        unconfirmed.push(settle(confirm, job));
    }
}

async fn send(
    channel: &Channel,
    exchange: &ShortString,
    job: &Job,
) -> Result<PublisherConfirm, lapin::Error> {
    let mut properties = BasicProperties::default().with_delivery_mode(TRANSIENT);
    if let Some(traceparent) = &job.traceparent {
        let mut headers = FieldTable::default();
        let value = AMQPValue::LongString(traceparent.as_str().into());
        headers.insert("traceparent".into(), value);
        properties = properties.with_headers(headers);
    }
    channel
        .basic_publish(
            exchange.clone(),
            job.key.as_str().into(),
            BasicPublishOptions::default(),
            &job.body,
            properties,
        )
        .await
}

async fn settle(confirm: PublisherConfirm, job: Job) -> Result<(), lapin::Error> {
    let confirmation = confirm.await?;
    // First, so that there is room by the time somebody hears of it.
    drop(job.permit);
    // Whoever asked may have stopped waiting.
    let _ = job.confirmed.send(confirmation.is_ack());
    Ok(())
}
