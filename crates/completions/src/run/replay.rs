//! The same ask once more: it is shown the run of the first.

use std::sync::Arc;
use std::time::Duration;

use confab_rpc::Reason;
use confab_rpc::completions::{Finished, Started, Usage};
use confab_rpc::threads::Exchange;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Engine;
use super::feed::{self, Feed, Follower};
use super::question::Question;
use super::receipt::Receipt;
use crate::error::Error;
use crate::store::{Run, State};

/// How often the row of a run elsewhere is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What is known of an ask's key.
pub(super) enum Earlier {
    /// Nothing.
    None,
    /// An ask with it is under way and may still be refused.
    Beginning,
    /// It has its run.
    Run(Follower),
}

impl Engine {
    /// The run that the question's key belongs to.
    pub(super) async fn earlier(self: &Arc<Self>, question: &Question) -> Result<Earlier, Error> {
        let Some(key) = &question.key else {
            return Ok(Earlier::None);
        };
        let Some(run) = self.store.by_key(question.user_id, key).await? else {
            return Ok(Earlier::None);
        };
        if run.fingerprint.as_deref() != Some(&question.fingerprint()) {
            return Err(Error::KeyReused);
        }
        if run.answer_id.is_none() {
            return Ok(Earlier::Beginning);
        }
        if let Some(feed) = self.feeds.find(run.id) {
            return Ok(Earlier::Run(Follower::new(feed, true)));
        }
        let Some(started) = self.started(&run).await? else {
            // What the key stood for was removed with its thread.
            self.store.forget_key(run.id).await?;
            return Ok(Earlier::None);
        };
        Ok(Earlier::Run(self.follow_row(run, started)))
    }

    async fn started(&self, run: &Run) -> Result<Option<Started>, Error> {
        let Some(Exchange {
            question, answer, ..
        }) = self.exchange_of(run).await?
        else {
            return Ok(None);
        };
        let thread = match self.backends.thread(run.user_id, run.thread_id).await {
            Err(error) if error.reason() == Some(Reason::ThreadNotFound) => return Ok(None),
            thread => thread?,
        };
        Ok(Some(Started {
            run_id: run.id.to_string(),
            thread: Some(thread),
            question,
            answer,
            replayed: true,
        }))
    }

    /// Follows a run that is over, or that another process works on, by its row.
    fn follow_row(self: &Arc<Self>, run: Run, started: Started) -> Follower {
        let feed = Feed::new(started.clone());
        let follower = Follower::new(feed.subscribe(), true);
        let engine = Arc::clone(self);
        self.tasks.spawn("follow", async move {
            let stopping = engine.tasks.stopping();
            tokio::select! {
                () = engine.watch_row(run, started, &feed) => {}
                () = feed.closed() => {}
                () = stopping.cancelled() => {}
            }
        });
        follower
    }

    async fn watch_row(&self, run: Run, started: Started, feed: &watch::Sender<Feed>) {
        let end = match self.ended_row(run).await {
            Ok(run) => self.ending_of(&run, started, feed).await,
            Err(error) => Err(error),
        };
        feed::end(feed, end.map_err(|error| error.fault()));
    }

    /// Waits for the run to end.
    async fn ended_row(&self, run: Run) -> Result<Run, Error> {
        let mut run = run;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while run.state != State::Ended {
            look.tick().await;
            run = self.store.find(run.id).await?.ok_or(Error::Interrupted)?;
        }
        Ok(run)
    }

    /// The stored answer and how the run ended.
    async fn ending_of(
        &self,
        run: &Run,
        started: Started,
        feed: &watch::Sender<Feed>,
    ) -> Result<Finished, Error> {
        let exchange = self.exchange_of(run).await?.ok_or(Error::ThreadNotFound)?;
        let answer = exchange.answer.unwrap_or_default();
        feed.send_modify(|feed| feed.text.clone_from(&answer.content));
        let receipt = Receipt::of(run);
        if let Some(failure) = receipt.failure {
            return Err(Error::Failed(failure));
        }
        let account = self.backends.account(run.user_id).await?;
        Ok(Finished {
            thread: started.thread,
            answer: Some(answer),
            usage: Some(Usage {
                input_tokens: receipt.input_tokens,
                output_tokens: receipt.output_tokens,
            }),
            cost_microdollars: receipt.cost_microdollars,
            balance_microdollars: account.balance_microdollars,
            run: None,
        })
    }
}
