//! Messages on their way into the exchange.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Delivery mode of a message that need not survive the broker.
const TRANSIENT: u8 = 1;

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

/// Publishes what comes, in order, while earlier messages wait for their confirmations. Ends when the channel does.
pub(super) async fn publish(
    channel: &Channel,
    exchange: &ShortString,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
) -> Result<Infallible, lapin::Error> {
    let mut unconfirmed = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(outcome) = unconfirmed.next() => outcome?,
            Some(job) = jobs.recv() => {
                let confirm = send(channel, exchange, &job).await?;
                unconfirmed.push(settle(confirm, job));
            }
            // Nobody is left who could publish; the connection may still be needed for reading.
            else => std::future::pending().await,
        }
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
