//! From a prompt to the end of the run: what an ask and a run that is begun anew have in common.

use std::sync::{Arc, OnceLock};

use confab_rpc::completions::Started;
use confab_rpc::threads::{Exchange, Message};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Engine;
use super::answer::Whole;
use super::feed::{self, Feed};
use super::receipt::{Measure, Read, Receipt};
use super::telling::last_word;
use crate::catalogue::Model;
use crate::error::Error;
use crate::provider::{Prompt, Routed};
use crate::store::{Failure, Run};
use crate::window::Place;

/// A run under way and what its followers see.
pub(super) type Begun = OnceLock<(Run, watch::Sender<Feed>)>;

impl Engine {
    /// Puts the prompt to whoever answers it; the other case is how that ended before there was an answer.
    pub(super) async fn put(
        &self,
        prompt: Prompt,
        stop: &CancellationToken,
    ) -> Result<Routed, Read> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Read::Cancelled),
            routed = self.providers.route(prompt) => routed.map_err(Read::Failed),
        }
    }

    /// Reads the answer that has begun and ends the run with it.
    pub(super) async fn see_through(
        self: &Arc<Self>,
        run: Run,
        routed: Routed,
        measure: Measure,
        feed: &watch::Sender<Feed>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let Routed {
            model,
            provider,
            answer,
        } = routed;
        let run = self.answered_by(run, &model, &provider).await?;
        let whole = self.answer(&run, answer, feed, stop).await?;
        self.wind_up(&run, &model, measure, whole, feed).await
    }

    /// Ends a run, and tells its followers.
    pub(super) async fn wind_up(
        self: &Arc<Self>,
        run: &Run,
        model: &Model,
        measure: Measure,
        whole: Whole,
        feed: &watch::Sender<Feed>,
    ) -> Result<(), Error> {
        let Whole { read, stored } = whole;
        let quick = read.is_complete() && !stored;
        let (receipt, text, has_room) = {
            let feed = feed.borrow();
            let receipt = Receipt::new(model, measure, &feed.text, read).timed(
                run,
                feed.first_text_at,
                self.clock.now(),
            );
            let text = quick.then(|| feed.text.clone());
            (receipt, text, self.has_room(measure, &feed.text))
        };
        let concluded = if let Some(text) = text {
            self.complete(run, &receipt, text).await?
        } else {
            self.record(run, &receipt).await?;
            self.conclude(run, &receipt).await?
        };
        let thread = {
            let feed = feed.borrow();
            self.remember(run, feed.started(), concluded.answer.as_ref());
            feed.started().thread.clone()
        };
        // By the model of one that has its own.
        let may_be_summarised = thread.as_ref().is_some_and(|it| it.model_id.is_some());
        let (answer, balance) = (concluded.answer, concluded.balance);
        feed::end(feed, last_word(&concluded.run, thread, answer, balance));
        // Who has the conversation read as it is stored has no use for a summary.
        if receipt.failure.is_none() && !run.stored && !has_room && may_be_summarised {
            self.summarise_later(run.user_id, run.thread_id);
        }
        Ok(())
    }

    /// Adds what was asked and answered to what the next question there will be put after.
    fn remember(&self, run: &Run, started: &Started, answer: Option<&Message>) {
        let Started {
            thread: Some(thread),
            question: Some(question),
            ..
        } = started
        else {
            return;
        };
        let place = Place {
            last_seq: run.after_seq,
            ..Place::of(thread)
        };
        if let Some(answer) = answer {
            let most = self.most_entries();
            self.windows
                .go_on(run.thread_id, place, question, answer, most);
        }
    }

    /// Remembers who answers: whoever ends the run charges their price.
    async fn answered_by(&self, run: Run, model: &Model, provider: &str) -> Result<Run, Error> {
        if run.model_id == model.id && run.provider == provider {
            return Ok(run);
        }
        let lease = run.lease();
        let held = self
            .insist(|| async move { Ok(self.store.answering(lease, model, provider).await?) })
            .await?;
        if !held {
            return Err(Error::Interrupted);
        }
        Ok(Run {
            model_id: model.id,
            model: model.name.clone(),
            provider: provider.to_owned(),
            ..run
        })
    }

    /// Does the work of a run until it is done or the lease is lost. Followers are then shown what another process makes
    /// of the run.
    pub(super) async fn work(
        &self,
        run: &Run,
        begun: &Begun,
        work: impl Future<Output = Result<(), Error>>,
    ) {
        let done = match self.hold(run.lease(), work).await {
            Some(done) => done,
            None => self.take_back(run).await,
        };
        if let Err(error) = done {
            tracing::warn!(run = %run.id, %error, "a run is left for its lease to run out");
        }
        if let Some((run, feed)) = begun.get()
            && !feed.borrow().is_over()
        {
            self.show(run, feed).await;
        }
    }
}

/// What the followers of a run are told first.
pub(super) fn started(run: &Run, exchange: &Exchange, replayed: bool) -> Started {
    Started {
        run_id: run.id.to_string(),
        thread: exchange.thread.clone(),
        question: exchange.question.clone(),
        answer: exchange.answer.clone(),
        replayed,
    }
}

/// Whether it was stopped before anything came of it.
pub(super) fn stopped(stop: &CancellationToken) -> Result<(), Error> {
    if stop.is_cancelled() {
        return Err(Error::Failed(Failure::Cancelled));
    }
    Ok(())
}
