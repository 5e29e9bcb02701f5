//! Messages on their way out of a gateway's queue.

use std::sync::atomic::Ordering;

use confab_rpc::delivery::Events;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection};
use prost::Message;
use tokio::sync::mpsc;

use super::session::Broken;
use super::{ALL, Reader, Shared};
use crate::Settings;

/// A queue that is being read.
pub(super) struct Consumer {
    channel: Channel,
    messages: lapin::Consumer,
    reader: Reader,
    /// Messages that one acknowledgement covers, at most: half of what the broker sends ahead, so that it never runs dry.
    together: u16,
}

/// The reader has stopped reading.
struct Gone;

impl Consumer {
    /// Makes the gateway's queue, which ends with the connection, and starts to read it.
    pub(super) async fn attach(
        connection: &Connection,
        settings: &Settings,
        reader: Reader,
    ) -> Result<Self, lapin::Error> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(settings.prefetch, BasicQosOptions::default())
            .await?;
        let queue = declare(&channel, settings).await?;
        let exchange: ShortString = settings.exchange.as_str().into();
        for key in [reader.gateway.to_string().as_str(), ALL] {
            channel
                .queue_bind(
                    queue.clone(),
                    exchange.clone(),
                    key.into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        let options = BasicConsumeOptions {
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let messages = channel
            .basic_consume(queue, "".into(), options, FieldTable::default())
            .await?;
        Ok(Self {
            channel,
            messages,
            reader,
            together: (settings.prefetch / 2).max(1),
        })
    }

    /// Hands messages on until the reader is gone. The broker ending it is an error.
    pub(super) async fn run(mut self, shared: &Shared) -> Result<(), Broken> {
        while self.hand_on(shared).await?.is_ok() {}
        // The queue goes with its only consumer.
        self.channel.close(200, "OK".into()).await?;
        Ok(())
    }

    /// Hands on the next message and those that have come with it, and acknowledges them together.
    async fn hand_on(&mut self, shared: &Shared) -> Result<Result<(), Gone>, Broken> {
        let first = tokio::select! {
            first = self.messages.next() => first,
            () = self.reader.sender.closed() => return Ok(Err(Gone)),
        };
        let mut arrived = first;
        let mut last;
        let mut count = 0;
        loop {
            let delivery = arrived.ok_or(Broken::Cancelled)??;
            last = delivery.delivery_tag;
            count += 1;
            let passed = pass(&delivery.data, &self.reader.sender, shared).await;
            if passed.is_err() {
                return Ok(Err(Gone));
            }
            if count == self.together {
                break;
            }
            match self.messages.next().now_or_never() {
                Some(next) => arrived = next,
                None => break,
            }
        }
        let options = BasicAckOptions { multiple: true };
        self.channel.basic_ack(last, options).await?;
        Ok(Ok(()))
    }
}

async fn declare(channel: &Channel, settings: &Settings) -> Result<ShortString, lapin::Error> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    let length = AMQPValue::LongLongInt(settings.queue_length.into());
    arguments.insert("x-max-length".into(), length);
    let overflow = AMQPValue::LongString("drop-head".into());
    arguments.insert("x-overflow".into(), overflow);
    // The broker names it: a name of ours could still be held by a connection that is not known to be dead.
    let queue = channel.queue_declare("".into(), options, arguments).await?;
    Ok(queue.name().clone())
}

async fn pass(body: &[u8], sender: &mpsc::Sender<Events>, shared: &Shared) -> Result<(), Gone> {
    match Events::decode(body) {
        Ok(events) => sender.send(events).await.map_err(|_| Gone),
        Err(error) => {
            shared.malformed.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("confab_delivery_malformed_total").increment(1);
            tracing::warn!(%error, bytes = body.len(), "a message of the broker made no sense");
            Ok(())
        }
    }
}
