//! Stopping a run, whichever process works on it.
//!
//! The wish is written into the row. The process that works on the run is told at once when it is this one; otherwise
//! it sees it the next time it looks, which it does only while it has runs under way. A run whose process is dead ends
//! when its lease has run out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use confab_rpc::completions::CancelRunRequest;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Engine;
use crate::error::Error;
use crate::store::{Outcome, Run, State};

/// How often a process looks for wishes that were written elsewhere.
const LISTEN: Duration = Duration::from_millis(200);
/// How often a run that shall end is looked at, and how long.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(5);

/// The runs that this process works on, and how each of them is told to stop.
#[derive(Debug, Default, Clone)]
pub(super) struct UnderWay(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    runs: Mutex<HashMap<Uuid, CancellationToken>>,
    entered: Notify,
}

/// An entry of [`UnderWay`], until it is dropped.
pub(super) struct Entered {
    under_way: UnderWay,
    run_id: Uuid,
    /// Says when to stop.
    pub(super) stop: CancellationToken,
}

impl UnderWay {
    pub(super) fn enter(&self, run_id: Uuid) -> Entered {
        let stop = CancellationToken::new();
        self.runs().insert(run_id, stop.clone());
        self.0.entered.notify_one();
        Entered {
            under_way: self.clone(),
            run_id,
            stop,
        }
    }

    fn stop(&self, run_id: Uuid) {
        if let Some(stop) = self.runs().get(&run_id) {
            stop.cancel();
        }
    }

    fn is_empty(&self) -> bool {
        self.runs().is_empty()
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<Uuid, CancellationToken>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.under_way.runs().remove(&self.run_id);
    }
}

impl Engine {
    /// Stops a run; returns it as it has ended, or as it stands when that takes too long.
    pub(crate) async fn cancel(&self, request: CancelRunRequest) -> Result<Run, Error> {
        let mut run = self.own_run(&request.user_id, &request.run_id).await?;
        if run.state == State::Ended {
            return Ok(run);
        }
        let (id, now) = (run.id, self.clock.now());
        self.insist(|| async move { Ok(self.store.request_cancel(id, now).await?) })
            .await?;
        self.under_way.stop(id);
        let patience = Instant::now() + PATIENCE;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while run.state != State::Ended && Instant::now() < patience {
            look.tick().await;
            run = match self.store.find(id).await? {
                Some(run) => run,
                None => return Ok(forgotten(run)),
            };
        }
        Ok(run)
    }

    /// The user's run with this id.
    pub(crate) async fn own_run(&self, user_id: &str, run_id: &str) -> Result<Run, Error> {
        let parse = |id: &str| id.parse::<Uuid>().map_err(|_| Error::RunNotFound);
        let (user_id, run_id) = (parse(user_id)?, parse(run_id)?);
        let run = self.store.find(run_id).await?;
        run.filter(|run| run.user_id == user_id && run.is_answer())
            .ok_or(Error::RunNotFound)
    }

    /// Hears of wishes that were written by other processes, until this one stops and all its runs have ended.
    pub(crate) fn start_listening(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        self.tasks.spawn("cancel", async move {
            let stopping = engine.tasks.stopping();
            let mut look = interval(LISTEN);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                if engine.under_way.is_empty() {
                    tokio::select! {
                        biased;
                        () = engine.under_way.0.entered.notified() => {}
                        () = stopping.cancelled() => return,
                    }
                }
                look.tick().await;
                engine.listen().await;
            }
        });
    }

    async fn listen(&self) {
        match self.store.cancel_requested(self.owner).await {
            Ok(runs) => runs.into_iter().for_each(|run| self.under_way.stop(run)),
            // The next look is soon, and whoever works on a run says that the database is away.
            Err(error) => tracing::debug!(%error, "cannot look for runs to cancel"),
        }
    }
}

/// A run that was stopped while it waited for its turn leaves no row.
fn forgotten(run: Run) -> Run {
    Run {
        state: State::Ended,
        outcome: Some(Outcome::Cancelled),
        ended_at: run.cancel_requested_at,
        ..run
    }
}
