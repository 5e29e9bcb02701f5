//! The one connection to the broker: made, watched, and made again for as long as the process lives.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event, ExchangeKind};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::consumer::Consumer;
use super::publisher::{self, Job};
use crate::{Settings, SettingsError};

/// Pauses between attempts to connect: the first, and the longest they grow to.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long connecting and declaring may take together.
const OPENING: Duration = Duration::from_secs(5);
/// A peer that was silent for twice as long is taken for dead, unless the URL says otherwise. Seconds.
const HEARTBEAT: u16 = 5;

/// Why a connection came to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Connection(#[from] lapin::Error),
    #[error("the broker took longer than {OPENING:?}")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("the broker took the queue away")]
    Cancelled,
    #[error("the connection was closed")]
    Closed,
}

/// Owns the connection.
pub(super) struct Supervisor {
    uri: AMQPUri,
    settings: Settings,
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedReceiver<Job>,
    stopping: CancellationToken,
}

impl Supervisor {
    pub(super) fn new(
        settings: &Settings,
        shared: Arc<Shared>,
        jobs: mpsc::UnboundedReceiver<Job>,
        stopping: CancellationToken,
    ) -> Result<Self, SettingsError> {
        let mut uri = settings.uri()?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self {
            uri,
            settings: settings.clone(),
            shared,
            jobs,
            stopping,
        })
    }

    /// Keeps a connection until the process stops.
    pub(super) async fn run(mut self) {
        let stopping = self.stopping.clone();
        stopping.run_until_cancelled(self.keep()).await;
        self.shared.stopped();
    }

    async fn keep(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(cause) = self.connect(&mut pause).await;
            self.shared.disconnected();
            // Dropped, they are known to be unconfirmed.
            while self.jobs.try_recv().is_ok() {}
            if pause == FIRST_PAUSE {
                tracing::warn!(%cause, "the broker is away; entries are delivered by reading");
            } else {
                tracing::debug!(%cause, "the broker is still away");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Opens a connection and works with it until it breaks.
    async fn connect(&mut self, pause: &mut Duration) -> Result<Infallible, Broken> {
        let (connection, channel) = timeout(OPENING, self.open()).await??;
        *pause = FIRST_PAUSE;
        tracing::info!("connected to the broker");
        self.work(&connection, &channel).await
    }

    async fn open(&self) -> Result<(Connection, Channel), lapin::Error> {
        let properties =
            ConnectionProperties::default().with_connection_name("confab delivery".into());
        let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
        let channel = connection.create_channel().await?;
        channel
            .exchange_declare(
                self.settings.exchange.as_str().into(),
                ExchangeKind::Direct,
                ExchangeDeclareOptions {
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                },
                FieldTable::default(),
            )
            .await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok((connection, channel))
    }

    async fn work(
        &mut self,
        connection: &Connection,
        channel: &Channel,
    ) -> Result<Infallible, Broken> {
        let Self {
            settings,
            shared,
            jobs,
            ..
        } = self;
        let exchange = settings.exchange.as_str().into();
        let mut happenings = Box::pin(connection.events_listener());
        let mut publishing = Box::pin(publisher::publish(channel, &exchange, jobs));
        let mut consumers = FuturesUnordered::new();
        loop {
            for reader in shared.waiting() {
                let attaching = Consumer::attach(connection, settings, reader.clone());
                let consumer = timeout(OPENING, attaching).await??;
                consumers.push(consumer.run(shared));
                shared.attached(&reader);
            }
            shared.connected(connection.status().blocked());
            tokio::select! {
                broken = &mut publishing => match broken? {},
                Some(end) = consumers.next() => end?,
                () = shared.news.notified() => {}
                happening = happenings.next() => match happening {
                    Some(Event::Error(error)) => return Err(error.into()),
                    None => return Err(Broken::Closed),
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(reason, "the broker takes no messages");
                    }
                    Some(_) => {}
                },
            }
            if !connection.status().connected() {
                return Err(Broken::Closed);
            }
        }
    }
}
