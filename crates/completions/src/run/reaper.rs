//! Runs whose process died: they are found by their lease ([`super::watch`]), taken over by raising the fence, and brought
//! to their end, or begun anew ([`super::restart`]).

use std::sync::Arc;

use confab_rpc::Reason;
use confab_rpc::threads::{Exchange, Message};
use futures_util::StreamExt;
use tokio::time::sleep;

use super::Engine;
use super::ending::wish_or;
use super::receipt::Receipt;
use crate::backends::GONE;
use crate::error::Error;
use crate::store::{Appended, Failure, Purpose, Run, Seen, State};

/// Runs that are taken over and ended at once.
const AT_ONCE: usize = 8;
/// Runs that are looked at in a round, those first whose leases are the oldest.
const WATCHED: u64 = 10_000;

impl Engine {
    /// Looks for such runs now and then, until the process stops.
    pub(crate) fn start_reaping(self: &Arc<Self>) {
        let engine = Arc::clone(self);
        self.tasks.spawn("reaper", async move {
            let stopping = engine.tasks.stopping();
            loop {
                if let Err(error) = engine.reap().await {
                    tracing::warn!(%error, "cannot look for runs that were left");
                }
                tokio::select! {
                    () = stopping.cancelled() => return,
                    // Not an interval: between two looks an owner has the whole time.
                    () = sleep(engine.round()) => {}
                }
            }
        });
    }

    /// Looks once at all leases, and ends every run that was left, or begins it anew; says how many. One that cannot be ended
    /// now is tried again when its new lease was not renewed either.
    pub(crate) async fn reap(self: &Arc<Self>) -> Result<usize, Error> {
        let seen = self.store.leases(WATCHED).await?;
        let left = self.watch.look(&seen);
        let ended: Vec<_> = futures_util::stream::iter(left)
            .map(|left| self.end_left(left))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        Ok(ended.into_iter().filter(|ended| *ended).count())
    }

    /// Takes over a run that was left, unless somebody else was faster or its owner woke up, and ends it.
    async fn end_left(self: &Arc<Self>, left: Seen) -> bool {
        match self.store.take(left, self.owner, self.lease_until()).await {
            Ok(Some(run)) => self.end_taken(run).await,
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(run = %left.id, %error, "cannot take over a run");
                false
            }
        }
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
