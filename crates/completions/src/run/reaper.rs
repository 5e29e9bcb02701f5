//! Runs whose process died: they are found by their lease, taken over by raising the fence, and brought to their end,
//! or begun anew ([`super::restart`]).

use std::sync::Arc;

use confab_rpc::Reason;
use confab_rpc::threads::{Exchange, Message};
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval};

use super::Engine;
use super::ending::wish_or;
use super::receipt::Receipt;
use crate::backends::GONE;
use crate::error::Error;
use crate::store::{Appended, Failure, Purpose, Run, State};

/// Runs that are taken over and ended at once.
const AT_ONCE: usize = 8;

impl Engine {
    /// Looks for such runs now and then, until the process stops.
    pub(crate) fn start_reaping(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        self.tasks.spawn("reaper", async move {
            let stopping = engine.tasks.stopping();
            let mut round = interval(engine.lease_length() / 3);
            round.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = round.tick() => {}
                }
                if let Err(error) = engine.reap().await {
                    tracing::warn!(%error, "cannot look for runs that were left");
                }
            }
        });
    }

    /// Ends every run whose lease has run out, or begins it anew; says how many. One that cannot be ended now is tried again when its new
    /// lease has run out.
    pub(crate) async fn reap(self: &Arc<Self>) -> Result<usize, Error> {
        let mut ended = 0;
        loop {
            let taken = self.take_over().await?;
            if taken.is_empty() {
                return Ok(ended);
            }
            let reaped: Vec<_> = futures_util::stream::iter(taken)
                .map(|run| self.end_taken(run))
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            ended += reaped.into_iter().filter(|ended| *ended).count();
        }
    }

    /// Takes the leases of runs that were left. A run that somebody else was faster to take is not among them.
    async fn take_over(&self) -> Result<Vec<Run>, Error> {
        let mut taken = Vec::new();
        for run in self.store.expired(self.clock.now(), AT_ONCE as u64).await? {
            let run = self.store.take(run, self.owner, self.lease_until()).await?;
            taken.extend(run);
        }
        Ok(taken)
    }

    async fn end_taken(self: &Arc<Self>, run: Run) -> bool {
        if self.may_begin_anew(&run) {
            self.begin_anew_later(run);
            return true;
        }
        tracing::info!(run = %run.id, state = ?run.state, "ending a run whose process died");
        match self.hold(run.lease(), Box::pin(self.end(&run))).await {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::warn!(run = %run.id, %error, "cannot end a run yet");
                false
            }
            None => false,
        }
    }

    pub(super) async fn end(&self, run: &Run) -> Result<(), Error> {
        match (run.purpose, run.state) {
            (_, State::Ended) => Ok(()),
            (Purpose::Answer, State::Reserving) => self.abandon(run).await,
            (Purpose::Answer, State::Running) => match self.exchange_of(run).await? {
                Some(exchange) => {
                    let failure = wish_or(run, Failure::Interrupted);
                    self.cut_short(run, exchange, failure).await
                }
                None => self.end_without_thread(run).await,
            },
            (Purpose::Answer, State::Answered) => {
                self.conclude(run, &Receipt::of(run)).await.map(drop)
            }
            (Purpose::Summary | Purpose::Chat, _) => self.end_summary(run).await,
        }
    }

    /// Ends a run as far as it got: its text is kept, and charged for. What has ended in its thread has ended so.
    pub(super) async fn cut_short(
        &self,
        run: &Run,
        exchange: Exchange,
        failure: Failure,
    ) -> Result<(), Error> {
        let answer = exchange.answer.unwrap_or_default();
        let appended = Appended {
            answer_id: answer.id,
            answer_seq: answer.seq,
            reserved_microdollars: run.reserved_microdollars,
            agent_token_hash: None,
        };
        let run = self.start(run, appended).await?;
        let answer = self.last_answer(&run).await?;
        if let Some(receipt) = Receipt::of_answer(&answer) {
            return self.conclude(&run, &receipt).await.map(drop);
        }
        let model = self.catalogue.by_id(run.model_id);
        let prompt_tokens = u32::try_from(run.prompt_tokens).unwrap_or(u32::MAX);
        let receipt = Receipt::cut_short(model, prompt_tokens, &answer.content, failure);
        let receipt = receipt.timed(&run, None, self.clock.now());
        self.record(&run, &receipt).await?;
        self.conclude(&run, &receipt).await.map(drop)
    }

    /// What is stored of the answer, after which nothing more is stored: from here on the thread knows the fence and
    /// refuses whoever had the run before.
    async fn last_answer(&self, run: &Run) -> Result<Message, Error> {
        match self.checkpoint(run, 0, String::new()).await {
            Ok(()) => {}
            // It has ended already, or it was removed.
            Err(error)
                if error.reason().is_some_and(|reason| {
                    reason == Reason::StaleWrite || GONE.contains(&reason)
                }) => {}
            Err(error) => return Err(error),
        }
        let exchange = self.insist(|| self.exchange_of(run)).await?;
        let answer = exchange.and_then(|exchange| exchange.answer);
        Ok(answer.unwrap_or_default())
    }

    async fn end_without_thread(&self, run: &Run) -> Result<(), Error> {
        let receipt = Receipt::cut_short(None, 0, "", wish_or(run, Failure::Interrupted));
        self.record(run, &receipt).await?;
        self.conclude(run, &receipt).await.map(drop)
    }

    /// A summary that was not written is not charged for, nor a chat whose end nobody wrote down; one that was, is.
    async fn end_summary(&self, run: &Run) -> Result<(), Error> {
        let receipt = Receipt::of(run);
        let (charged, _) = self.settle(run, &receipt).await?;
        self.close(run, &receipt, charged, false).await
    }
}
