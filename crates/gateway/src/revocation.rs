//! Sign-in sessions that were ended, and the sockets that must go with them.
//!
//! One task per gateway asks the sessions service what was ended since it last asked. While that service is away, sockets
//! stay: what was ended meanwhile is told when it is back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use confab_rpc::Lane;
use confab_rpc::sessions::ListRevocationsRequest;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_runtime::Tasks;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// How often the sessions service is asked.
const PERIOD: Duration = Duration::from_millis(500);

/// How long a start may wait for the first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// For how long an ended session is remembered: longer than it takes from the verification of a token until its socket
/// is watched.
const MEMORY: Duration = Duration::from_mins(1);

/// As many as one answer holds at most; a full one is followed by the next at once.
const PAGE: usize = 1000;

/// Which sessions have sockets here, and which were ended lately. Clones share everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revocations(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    watched: HashMap<Uuid, Watched>,
    /// Oldest first.
    ended: VecDeque<(Instant, Uuid)>,
}

#[derive(Debug, Default)]
struct Watched {
    sockets: usize,
    ended: CancellationToken,
}

/// One socket's view of its session; the session is forgotten with the last of them.
#[derive(Debug)]
pub(crate) struct Watch {
    ended: CancellationToken,
    kept: Option<(Revocations, Uuid)>,
}

impl Revocations {
    /// Starts to ask. Before it returns it knows from where on, unless the sessions service does not answer; then no
    /// token is verified either.
    pub(crate) async fn start(sessions: SessionsClient<Lane>, tasks: &Tasks) -> Self {
        let revocations = Self::default();
        let mut poll = Poll {
            sessions,
            revocations: revocations.clone(),
            position: 0,
            away: false,
        };
        // Late is like away: the task asks again.
        let _ = timeout(FIRST_ANSWER, poll.ask()).await;
        let stopping = tasks.stopping();
        tasks.spawn("close sockets of ended sessions", async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = ticks.tick() => poll.ask().await,
                }
            }
        });
        revocations
    }

    /// Watches a session for a socket that was opened with one of its tokens. A token of no session is never revoked.
    pub(crate) fn watch(&self, session: Option<Uuid>) -> Watch {
        let Some(session) = session else {
            return Watch {
                ended: CancellationToken::new(),
                kept: None,
            };
        };
        let mut book = self.book();
        let already = book.ended.iter().any(|(_, ended)| *ended == session);
        let watched = book.watched.entry(session).or_default();
        watched.sockets += 1;
        if already {
            watched.ended.cancel();
        }
        Watch {
            ended: watched.ended.clone(),
            kept: Some((self.clone(), session)),
        }
    }

    /// Tells every socket of a session that it was ended.
    pub(crate) fn end(&self, session: Uuid) {
        let now = Instant::now();
        let mut book = self.book();
        while book
            .ended
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > MEMORY)
        {
            book.ended.pop_front();
        }
        book.ended.push_back((now, session));
        if let Some(watched) = book.watched.get(&session) {
            watched.ended.cancel();
        }
    }

    fn forget(&self, session: Uuid) {
        let mut book = self.book();
        if let Some(watched) = book.watched.get_mut(&session) {
            watched.sockets -= 1;
            if watched.sockets == 0 {
                book.watched.remove(&session);
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Resolves when the session is ended; never for a token of no session.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((revocations, session)) = self.kept.take() {
            revocations.forget(session);
        }
    }
}

/// The task's state.
struct Poll {
    sessions: SessionsClient<Lane>,
    revocations: Revocations,
    /// 0 until it is known.
    position: i64,
    away: bool,
}

impl Poll {
    async fn ask(&mut self) {
        let away = match self.read().await {
            Ok(()) => false,
            Err(status) => {
                if !self.away {
                    tracing::warn!(%status, "ended sessions cannot be read; sockets stay until they can");
                }
                true
            }
        };
        self.away = away;
    }

    async fn read(&mut self) -> Result<(), Status> {
        loop {
            let after_id = self.position;
            let request = ListRevocationsRequest { after_id };
            let answer = self.sessions.list_revocations(request).await?.into_inner();
            self.position = answer.last_id;
            for revocation in &answer.revocations {
                if let Ok(session) = revocation.session_id.parse() {
                    self.revocations.end(session);
                }
            }
            if answer.revocations.len() < PAGE {
                return Ok(());
            }
        }
    }
}
