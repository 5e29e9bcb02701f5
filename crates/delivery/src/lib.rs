//! Committed entries on their way to the gateways that hold their readers' sockets: through RabbitMQ, or through memory
//! when all roles are in one process.
//!
//! What travels here is a hint. It may be lost (broker away, a gateway's queue full), doubled or late; whoever misses
//! one reads the log. So nothing here is durable, nothing is retried, and a broker that is away makes publishing fail at
//! once instead of filling memory. Who should get what is not decided here.

mod broker;
#[cfg(feature = "faults")]
mod faults;
mod gateway;
mod memory;
mod settings;

use std::future::Future;
use std::time::Duration;

use confab_rpc::delivery::Events;
use confab_runtime::Tasks;
use tokio::sync::{oneshot, watch};

pub use gateway::{GatewayId, GatewayIdError};
pub use settings::{Settings, SettingsError};

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum To {
    /// To every gateway there is.
    All,
    /// To these. One that is not there costs nothing.
    Gateways(Vec<GatewayId>),
}

/// How the way to the gateways is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Open: every subscription of this process consumes, and messages can be published.
    Up,
    /// Connected, but the broker takes no messages for now (it is short of memory or disk).
    Blocked,
    /// Not connected, or a subscription does not consume yet.
    Down,
}

/// Why a message is not known to have reached the broker. It may still arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The way is not open.
    #[error("the broker is away or takes no messages ({0:?})")]
    Unavailable(Link),
    /// As many messages as `delivery.confirm_window` are waiting already.
    #[error("too many messages wait for the broker")]
    Full,
    /// The broker refused it, or was gone or silent before it confirmed.
    #[error("the broker did not confirm")]
    Unconfirmed,
}

/// The way to the gateways; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Delivery {
    way: Way,
    #[cfg(feature = "faults")]
    faults: faults::Faults,
}

#[derive(Debug, Clone)]
enum Way {
    Memory(memory::Memory),
    Broker(broker::Broker),
}

impl Delivery {
    /// Opens the way. A broker that is away is no error: it is looked for until `tasks` stop.
    pub fn open(settings: &Settings, tasks: &Tasks) -> Result<Self, SettingsError> {
        settings.validate()?;
        let way = if settings.is_broker() {
            Way::Broker(broker::Broker::open(settings, tasks)?)
        } else {
            Way::Memory(memory::Memory::open(settings, tasks.stopping()))
        };
        Ok(Self {
            way,
            #[cfg(feature = "faults")]
            faults: faults::Faults::default(),
        })
    }

    /// Hands a message over, one per gateway or one for all. Messages leave in the order of the calls; the future, which
    /// need not be awaited for that, resolves when the broker has confirmed. Keep several calls under way rather than
    /// waiting for each.
    pub fn publish(
        &self,
        to: &To,
        events: Events,
    ) -> impl Future<Output = Result<(), DeliveryError>> + Send + use<> {
        #[cfg(feature = "faults")]
        let events = self.faults.apply(to, events);
        let confirmation = match &self.way {
            Way::Memory(memory) => {
                memory.publish(to, events);
                None
            }
            Way::Broker(broker) => Some(broker.publish(to, &events)),
        };
        async move {
            match confirmation {
                Some(confirmation) => confirmation?.wait().await,
                None => Ok(()),
            }
        }
    }

    /// What is published to this gateway and to all from now on; with a broker, from when the link is up again.
    #[must_use]
    pub fn subscribe(&self, gateway: GatewayId) -> Subscription {
        Subscription(match &self.way {
            Way::Memory(memory) => Source::Memory(memory.subscribe(gateway)),
            Way::Broker(broker) => Source::Broker(broker.subscribe(gateway)),
        })
    }

    /// How the way is, now and later. While it is not up, hints are lost: read.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Link> {
        match &self.way {
            Way::Memory(memory) => memory.state(),
            Way::Broker(broker) => broker.state(),
        }
    }

    /// Messages that arrived and made no sense, since the start.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        match &self.way {
            Way::Memory(_) => 0,
            Way::Broker(broker) => broker.malformed(),
        }
    }
}

/// One gateway's messages. At most `delivery.queue_length` wait for it; then the oldest are dropped. Dropping this ends
/// the subscription.
#[derive(Debug)]
pub struct Subscription(Source);

#[derive(Debug)]
enum Source {
    Memory(memory::Reader),
    Broker(tokio::sync::mpsc::Receiver<Events>),
}

impl Subscription {
    /// The next message; `None` when the process stops. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Events> {
        match &mut self.0 {
            Source::Memory(reader) => reader.next().await,
            Source::Broker(receiver) => receiver.recv().await,
        }
    }
}

/// Confirmations of one call that are still to come.
#[derive(Debug)]
struct Confirmation {
    parts: Vec<oneshot::Receiver<bool>>,
    link: watch::Receiver<Link>,
    patience: Duration,
}

impl Confirmation {
    async fn wait(mut self) -> Result<(), DeliveryError> {
        let confirmed = async {
            for part in self.parts {
                if !part.await.unwrap_or(false) {
                    return Err(DeliveryError::Unconfirmed);
                }
            }
            Ok(())
        };
        tokio::select! {
            biased;
            outcome = confirmed => outcome,
            // A blocked broker confirms nothing; the caller should not wait for it to recover.
            link = self.link.wait_for(|link| *link != Link::Up) => Err(link
                .map_or(DeliveryError::Unconfirmed, |link| DeliveryError::Unavailable(*link))),
            () = tokio::time::sleep(self.patience) => Err(DeliveryError::Unconfirmed),
        }
    }
}
