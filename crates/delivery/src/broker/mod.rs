//! The way to gateways through RabbitMQ: what callers hold. The connection itself is `session`'s.

mod consumer;
mod publisher;
mod session;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use confab_rpc::delivery::Events;
use confab_runtime::Tasks;
use prost::Message;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use crate::{Confirmation, DeliveryError, GatewayId, Link, Settings, SettingsError, To};
use publisher::Job;
use session::Supervisor;

/// The routing key of what every gateway gets. Not a UUID, so no gateway's.
const ALL: &str = "all";

#[derive(Debug, Clone)]
pub(crate) struct Broker {
    shared: Arc<Shared>,
    /// Bounded by `window`: a job holds a permit until it is confirmed.
    jobs: mpsc::UnboundedSender<Job>,
    window: Arc<Semaphore>,
    patience: Duration,
    prefetch: usize,
}

/// What callers and the connection know of each other.
#[derive(Debug)]
struct Shared {
    link: watch::Sender<Link>,
    /// Locked while the link changes because of a subscription, so that it is never up without one that wants to be.
    readers: Mutex<Vec<Reader>>,
    /// A reader has come.
    news: Notify,
    malformed: AtomicU64,
}

/// A subscription's other end.
#[derive(Debug, Clone)]
struct Reader {
    gateway: GatewayId,
    sender: mpsc::Sender<Events>,
    attached: bool,
}

impl Broker {
    pub(crate) fn open(settings: &Settings, tasks: &Tasks) -> Result<Self, SettingsError> {
        let shared = Arc::new(Shared {
            link: watch::Sender::new(Link::Down),
            readers: Mutex::default(),
            news: Notify::new(),
            malformed: AtomicU64::new(0),
        });
        let (jobs, queue) = mpsc::unbounded_channel();
        let supervisor = Supervisor::new(settings, Arc::clone(&shared), queue, tasks.stopping())?;
        tasks.spawn("delivery", supervisor.run());
        Ok(Self {
            shared,
            jobs,
            window: Arc::new(Semaphore::new(
                settings.confirm_window.min(Semaphore::MAX_PERMITS),
            )),
            patience: settings.confirm_timeout(),
            prefetch: settings.prefetch.into(),
        })
    }

    pub(crate) fn publish(&self, to: &To, events: &Events) -> Result<Confirmation, DeliveryError> {
        let link = *self.shared.link.borrow();
        if link != Link::Up {
            return Err(DeliveryError::Unavailable(link));
        }
        let keys = match to {
            To::All => vec![ALL.to_owned()],
            To::Gateways(gateways) => gateways.iter().map(GatewayId::to_string).collect(),
        };
        let permits = u32::try_from(keys.len()).map_err(|_| DeliveryError::Full)?;
        let permits = Arc::clone(&self.window).try_acquire_many_owned(permits);
        let mut permits = permits.map_err(|_| DeliveryError::Full)?;
        let body: Arc<[u8]> = events.encode_to_vec().into();
        let traceparent = events
            .entries
            .iter()
            .find(|entry| !entry.traceparent.is_empty())
            .map(|entry| entry.traceparent.clone());
        let mut parts = Vec::with_capacity(keys.len());
        for key in keys {
            let (confirmed, confirmation) = oneshot::channel();
            let job = Job {
                key,
                body: Arc::clone(&body),
                traceparent: traceparent.clone(),
                confirmed,
                permit: permits.split(1),
            };
            self.jobs
                .send(job)
                .map_err(|_| DeliveryError::Unavailable(Link::Down))?;
            parts.push(confirmation);
        }
        Ok(Confirmation {
            parts,
            link: self.shared.link.subscribe(),
            patience: self.patience,
        })
    }

    pub(crate) fn subscribe(&self, gateway: GatewayId) -> mpsc::Receiver<Events> {
        let (sender, receiver) = mpsc::channel(self.prefetch);
        self.shared.welcome(Reader {
            gateway,
            sender,
            attached: false,
        });
        receiver
    }

    pub(crate) fn state(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    pub(crate) fn malformed(&self) -> u64 {
        self.shared.malformed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn welcome(&self, reader: Reader) {
        let mut readers = self.readers();
        readers.push(reader);
        self.set(Link::Down);
        drop(readers);
        self.news.notify_one();
    }

    /// The readers that do not consume yet and still want to.
    fn waiting(&self) -> Vec<Reader> {
        let mut readers = self.readers();
        readers.retain(|reader| !reader.sender.is_closed());
        readers
            .iter()
            .filter(|reader| !reader.attached)
            .cloned()
            .collect()
    }

    fn attached(&self, reader: &Reader) {
        let mut readers = self.readers();
        if let Some(known) = readers
            .iter_mut()
            .find(|known| known.sender.same_channel(&reader.sender))
        {
            known.attached = true;
        }
    }

    /// The connection stands: the link is up as soon as every reader consumes.
    fn connected(&self, blocked: bool) {
        let readers = self.readers();
        let all_consume = readers.iter().all(|reader| reader.attached);
        self.set(match (all_consume, blocked) {
            (false, _) => Link::Down,
            (true, true) => Link::Blocked,
            (true, false) => Link::Up,
        });
    }

    fn disconnected(&self) {
        let mut readers = self.readers();
        for reader in readers.iter_mut() {
            reader.attached = false;
        }
        self.set(Link::Down);
    }

    /// Nothing will come any more.
    fn stopped(&self) {
        self.disconnected();
        self.readers().clear();
    }

    fn set(&self, link: Link) {
        self.link.send_if_modified(|current| {
            let changed = *current != link;
            *current = link;
            changed
        });
    }
}
