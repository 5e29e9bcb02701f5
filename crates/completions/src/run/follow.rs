//! Following a run that is there already: through the feed of the process that works on it when that is this one, and
//! by what is stored of it otherwise, so also when it is over or its process has died.

use std::sync::Arc;
use std::time::Duration;

use confab_rpc::Reason;
use confab_rpc::completions::{Finished, FollowRequest, Started};
use confab_rpc::threads::{Exchange, Message};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Engine;
use super::feed::{self, Feed, Follower};
use super::telling::last_word;
use crate::backends::GONE;
use crate::error::Error;
use crate::store::{Run, State};

/// How soon more of an answer is looked for when some has come, and when none has.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_millis(250);
/// What was seen elsewhere may be stored a moment later.
const CATCH_UP: Duration = Duration::from_secs(1);

impl Engine {
    /// A run of the user's from a place in its answer. Who has text of an attempt that was superseded, or may have, is
    /// shown the text from its beginning.
    pub(crate) async fn follow(
        self: &Arc<Self>,
        request: FollowRequest,
    ) -> Result<Follower, Error> {
        let offset = usize::try_from(request.offset)
            .map_err(|_| Error::Invalid("offset must not be negative"))?;
        let run = self.placed_run(&request.user_id, &request.run_id).await?;
        let mut feed = self.feed_of(run).await?.ok_or(Error::RunNotFound)?;
        let there = feed.wait_for(|feed| feed.has(offset) || feed.is_over());
        // Whether it was the time or the text that ended the wait shows in the feed.
        let _ = timeout(CATCH_UP, there).await;
        if !feed.borrow().has(offset) {
            return Err(Error::Invalid(
                "offset is beyond the answer's end or within a character",
            ));
        }
        Ok(Follower::from(feed, true, offset))
    }

    /// `None` when nothing of the run is in a thread.
    pub(super) async fn feed_of(
        self: &Arc<Self>,
        run: Run,
    ) -> Result<Option<watch::Receiver<Feed>>, Error> {
        if let Some(feed) = self.feeds.find(run.id) {
            return Ok(Some(feed));
        }
        if run.answer_id.is_none() {
            return Ok(None);
        }
        let started = self.started(&run).await?;
        Ok(started.map(|started| self.follow_row(run, started)))
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
            // Its text follows.
            answer: answer.map(|answer| Message {
                content: String::new(),
                ..answer
            }),
            replayed: true,
        }))
    }

    fn follow_row(self: &Arc<Self>, run: Run, started: Started) -> watch::Receiver<Feed> {
        let feed = Feed::new(started, run.generation);
        let follower = feed.subscribe();
        let engine = Arc::clone(self);
        self.tasks.spawn("follow", async move {
            engine.show(&run, &feed).await;
        });
        follower
    }

    /// Keeps a feed up to date with what is stored of a run, until the run has ended or nobody follows any more.
    pub(super) async fn show(&self, run: &Run, feed: &watch::Sender<Feed>) {
        let stopping = self.tasks.stopping();
        tokio::select! {
            end = self.copy_stored(run, feed) => {
                let end = end.unwrap_or_else(|error| Err(error.fault()));
                feed::end(feed, end);
            }
            () = feed.closed() => {}
            () = stopping.cancelled() => {}
        }
    }

    async fn copy_stored(
        &self,
        run: &Run,
        feed: &watch::Sender<Feed>,
    ) -> Result<Result<Finished, confab_rpc::Fault>, Error> {
        loop {
            let (from, shown) = {
                let feed = feed.borrow();
                (feed.text.len(), feed.generation)
            };
            // The text comes first: a row that still tells of the same attempt then vouches for it.
            let text = self.stored_from(run, from).await?;
            let (state, generation) = self.insist(|| self.pulse(run)).await?;
            if generation != shown {
                feed.send_modify(|feed| feed.restart(generation));
                continue;
            }
            if !text.is_empty() {
                feed.send_modify(|feed| feed.text.push_str(&text));
            }
            if state == State::Ended {
                return self.ended(run, feed).await;
            }
            sleep(if text.is_empty() { LATER } else { SOON }).await;
        }
    }

    async fn pulse(&self, run: &Run) -> Result<(State, i16), Error> {
        self.store.pulse(run.id).await?.ok_or(Error::Interrupted)
    }

    /// What is stored beyond so many bytes of the answer.
    async fn stored_from(&self, run: &Run, from: usize) -> Result<String, Error> {
        match self.insist(|| self.answer_from(run, from)).await {
            Ok(answer) => Ok(answer.content),
            // The text has become shorter, for it is being superseded; or it was removed, which its writer will notice.
            Err(error)
                if error
                    .reason()
                    .is_some_and(|reason| reason == Reason::Invalid || GONE.contains(&reason)) =>
            {
                Ok(String::new())
            }
            Err(error) => Err(error),
        }
    }

    async fn answer_from(&self, run: &Run, from: usize) -> Result<Message, Error> {
        let answer_id = run.answer_id.unwrap_or_default();
        self.backends.message(run.user_id, answer_id, from).await
    }

    /// The rest of the text of a run that is over, and how it ended.
    async fn ended(
        &self,
        run: &Run,
        feed: &watch::Sender<Feed>,
    ) -> Result<Result<Finished, confab_rpc::Fault>, Error> {
        let run = self.store.find(run.id).await?.ok_or(Error::Interrupted)?;
        let answer = match self.insist(|| self.answer_from(&run, 0)).await {
            Err(error) if error.reason().is_some_and(|reason| GONE.contains(&reason)) => {
                return Err(Error::ThreadNotFound);
            }
            answer => answer?,
        };
        feed.send_modify(|feed| {
            let rest = answer.content.get(feed.text.len()..);
            feed.text.push_str(rest.unwrap_or_default());
        });
        let account = self.backends.account(run.user_id).await?;
        let thread = feed.borrow().started().thread.clone();
        Ok(last_word(
            &run,
            thread,
            Some(answer),
            account.balance_microdollars,
        ))
    }
}
