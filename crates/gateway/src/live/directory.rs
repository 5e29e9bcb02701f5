//! Tells the cache which users have sockets here, so that their events need not go to every gateway.
//!
//! A hint as well: without it events go everywhere.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use confab_cache::Cache;
use confab_delivery::GatewayId;
use confab_runtime::Tasks;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

/// How often all users are told again; the cache forgets what it has not heard for several of these.
const PERIOD: Duration = Duration::from_secs(10);

/// How long the cache believes what it was told.
const LIFE: Duration = Duration::from_secs(35);

/// Who is here.
#[derive(Debug)]
pub(super) struct Directory(Arc<Book>);

#[derive(Debug, Default)]
struct Book {
    users: Mutex<Users>,
    news: Notify,
    away: AtomicBool,
}

#[derive(Debug, Default)]
struct Users {
    /// Sockets per user.
    here: HashMap<Uuid, usize>,
    /// Not told yet.
    come: Vec<Uuid>,
    gone: Vec<Uuid>,
}

/// One socket's user is here while this lives.
pub(super) struct Present {
    user: Uuid,
    book: Arc<Book>,
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut users = self.book.lock();
        let Some(sockets) = users.here.get_mut(&self.user) else {
            return;
        };
        *sockets -= 1;
        if *sockets == 0 {
            users.here.remove(&self.user);
            users.gone.push(self.user);
            drop(users);
            self.book.news.notify_one();
        }
    }
}

impl Directory {
    pub(super) fn open(gateway: GatewayId, cache: Cache, tasks: &Tasks) -> Self {
        let book = Arc::<Book>::default();
        let telling = Box::pin(Arc::clone(&book).tell(gateway.to_string(), cache));
        let stopping = tasks.stopping();
        tasks.spawn("directory", async move {
            stopping.run_until_cancelled(telling).await;
        });
        Self(book)
    }

    /// A socket of this user opens.
    pub(super) fn enter(&self, user: Uuid) -> Present {
        let mut users = self.0.lock();
        let sockets = users.here.entry(user).or_default();
        *sockets += 1;
        if *sockets == 1 {
            users.come.push(user);
            drop(users);
            self.0.news.notify_one();
        }
        Present {
            user,
            book: Arc::clone(&self.0),
        }
    }

    /// Whether the cache did not answer when it was told last.
    pub(super) fn is_away(&self) -> bool {
        self.0.away.load(Ordering::Relaxed)
    }
}

impl Book {
    /// What is new while the cache is being told is told together afterwards.
    async fn tell(self: Arc<Self>, gateway: String, cache: Cache) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let all = tokio::select! {
                _ = ticks.tick() => true,
                () = self.news.notified() => false,
            };
            let (here, gone) = self.news(all);
            let told = async {
                if all {
                    cache.beat(&gateway, LIFE).await?;
                }
                cache.gone(&gateway, &gone).await?;
                cache.seen(&gateway, &here, LIFE).await
            };
            let result = told.await;
            if let Err(error) = &result
                && !self.away.load(Ordering::Relaxed)
            {
                tracing::warn!(%error, "the directory cannot be told who is here");
            }
            self.away.store(result.is_err(), Ordering::Relaxed);
        }
    }

    fn news(&self, all: bool) -> (Vec<Uuid>, Vec<Uuid>) {
        let mut users = self.lock();
        let come = std::mem::take(&mut users.come);
        let gone = std::mem::take(&mut users.gone);
        let ids = |ids: Vec<Uuid>, here| {
            ids.into_iter()
                .filter(|id| users.here.contains_key(id) == here)
                .collect()
        };
        let here = if all {
            users.here.keys().copied().collect()
        } else {
            come
        };
        (ids(here, true), ids(gone, false))
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
