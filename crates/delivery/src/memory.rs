//! The way to gateways that are in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use confab_rpc::delivery::Events;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{GatewayId, Link, Settings, To};

type Readers = Arc<Mutex<Vec<(GatewayId, Arc<Queue>)>>>;

#[derive(Debug, Clone)]
pub(crate) struct Memory {
    readers: Readers,
    length: usize,
    state: Arc<watch::Sender<Link>>,
    stopping: CancellationToken,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<VecDeque<Arc<Events>>>,
    arrived: Notify,
}

/// Takes what was published to one gateway.
#[derive(Debug)]
pub(crate) struct Reader {
    queue: Arc<Queue>,
    readers: Readers,
    stopping: CancellationToken,
}

impl Memory {
    pub(crate) fn open(settings: &Settings, stopping: CancellationToken) -> Self {
        Self {
            readers: Arc::default(),
            length: usize::try_from(settings.queue_length).unwrap_or(usize::MAX),
            state: Arc::new(watch::Sender::new(Link::Up)),
            stopping,
        }
    }

    pub(crate) fn publish(&self, to: &To, events: Events) {
        let events = Arc::new(events);
        for (gateway, queue) in lock(&self.readers).iter() {
            let wanted = match to {
                To::All => true,
                To::Gateways(gateways) => gateways.contains(gateway),
            };
            if wanted {
                queue.push(Arc::clone(&events), self.length);
            }
        }
    }

    pub(crate) fn subscribe(&self, gateway: GatewayId) -> Reader {
        let queue = Arc::new(Queue::default());
        lock(&self.readers).push((gateway, Arc::clone(&queue)));
        Reader {
            queue,
            readers: Arc::clone(&self.readers),
            stopping: self.stopping.clone(),
        }
    }

    pub(crate) fn state(&self) -> watch::Receiver<Link> {
        self.state.subscribe()
    }
}

impl Queue {
    fn push(&self, events: Arc<Events>, length: usize) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() == length {
            waiting.pop_front();
        }
        waiting.push_back(events);
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl Reader {
    pub(crate) async fn next(&mut self) -> Option<Events> {
        loop {
            let next = lock(&self.queue.waiting).pop_front();
            if let Some(events) = next {
                return Some(Arc::unwrap_or_clone(events));
            }
            let arrived = self.queue.arrived.notified();
            self.stopping.run_until_cancelled(arrived).await?;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        lock(&self.readers).retain(|(_, queue)| !Arc::ptr_eq(queue, &self.queue));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
