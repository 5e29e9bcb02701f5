//! Asking anew what a process that died was being answered: the prompt is put together again from the thread, and the
//! new answer takes the place of the text so far. The user pays for the attempt that is kept; what the dead one cost at
//! the provider is the operator's loss.
//!
//! Attempts are counted before they are made, so a prompt that kills its process does not go round for ever. The text of
//! the dead attempt stays until the provider has begun to answer: when it does not, that text is what the user has.

use std::sync::Arc;

use confab_rpc::Reason;
use confab_rpc::threads::{CheckpointRequest, Exchange, Message, MessageState};

use super::Engine;
use super::cancel::Entered;
use super::feed::Feed;
use super::opening::pays_for;
use super::prompting::{Asking, Wanted};
use super::receipt::{Measure, Read};
use super::work::{Begun, started};
use crate::backends::GONE;
use crate::error::Error;
use crate::provider::Prompt;
use crate::store::{Appended, Failure, Purpose, Run, State};
use crate::window::Place;

/// How often a run is taken over before what was being answered is given up: the thread or the files may be away for
/// longer than a lease, but not for ever.
const TAKEOVERS: i64 = 20;

impl Engine {
    /// Whether the run was being answered by something that can be asked again, and has not been too often.
    pub(super) fn may_begin_anew(&self, run: &Run) -> bool {
        let earlier = u32::try_from(run.attempts - 1).unwrap_or(0);
        let repeatable = self
            .catalogue
            .by_id(run.model_id)
            .is_some_and(|model| !self.may_be_agent(model));
        run.purpose == Purpose::Answer
            && matches!(run.state, State::Reserving | State::Running)
            && run.cancel_requested_at.is_none()
            && earlier < self.settings.restarts
            && run.fence <= TAKEOVERS
            && repeatable
    }

    /// Asks anew in a task of its own: an answer takes longer than a round of the reaper.
    pub(super) fn begin_anew_later(self: &Arc<Self>, run: Run) {
        let engine = Arc::clone(self);
        self.tasks.spawn("restart", async move {
            tracing::info!(run = %run.id, "asking anew what a dead process was being answered");
            let entered = engine.under_way.enter(run.id);
            let begun = Begun::new();
            let work = Box::pin(engine.begin_anew(&run, &begun, &entered));
            engine.work(&run, &begun, work).await;
        });
    }

    async fn begin_anew(
        self: &Arc<Self>,
        run: &Run,
        begun: &Begun,
        entered: &Entered,
    ) -> Result<(), Error> {
        // While it waits for its turn, the lease is kept.
        let _turn = self.anew.acquire().await.map_err(|_| Error::Interrupted)?;
        let Some(exchange) = self.exchange_of(run).await? else {
            return self.end(run).await;
        };
        if exchange.answer.as_ref().is_some_and(has_ended) {
            return self.cut_short(run, exchange, Failure::Interrupted).await;
        }
        let (exchange, prompt) = match self.rebuild(run, exchange.clone()).await {
            Ok(rebuilt) => rebuilt,
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                tracing::info!(run = %run.id, %error, "cannot ask anew");
                return self.cut_short(run, exchange, Failure::Interrupted).await;
            }
        };
        let run = self.next_attempt(run, &exchange, &prompt).await?;
        let measure = Measure::of(&prompt);
        let routed = match self.put(prompt, &entered.stop).await {
            Ok(routed) => routed,
            Err(Read::Cancelled) => {
                return self.cut_short(&run, exchange, Failure::Cancelled).await;
            }
            Err(read) => {
                tracing::warn!(run = %run.id, ?read, "nobody answers anew");
                return self.cut_short(&run, exchange, Failure::Interrupted).await;
            }
        };
        let Some(run) = self.supersede(&run).await? else {
            return self.cut_short(&run, exchange, Failure::Interrupted).await;
        };
        let feed = Feed::new(started(&run, &exchange, true), run.generation);
        let (_, feed) = begun.get_or_init(|| (run.clone(), feed));
        let _published = self.feeds.publish(run.id, feed.subscribe());
        self.see_through(run, routed, measure, feed, &entered.stop)
            .await
    }

    /// The prompt as the thread has it, and the exchange with its thread.
    async fn rebuild(&self, run: &Run, exchange: Exchange) -> Result<(Exchange, Prompt), Error> {
        let model = self
            .catalogue
            .by_id(run.model_id)
            .ok_or(Error::ModelNotFound)?;
        let answer = exchange.answer.as_ref().ok_or(Error::ThreadNotFound)?;
        let (wanted, last_seq) = match &exchange.question {
            _ if run.stored => (Wanted::Stored, answer.seq - 1),
            Some(question) => (
                Wanted::Question(&question.content, &question.attachments),
                question.seq - 1,
            ),
            None => return Err(Error::Invalid("the question was removed")),
        };
        let parameters = run.parameters.as_deref().unwrap_or("{}");
        let thread = self.backends.thread(run.user_id, run.thread_id).await?;
        let asking = Asking {
            user_id: run.user_id,
            thread_id: run.thread_id,
            model,
            instructions: [
                &thread.instructions,
                run.instructions.as_deref().unwrap_or_default(),
            ],
            parameters: serde_json::from_str(parameters)
                .map_err(|_| Error::Invalid("the parameters cannot be read"))?,
            summary: &thread.summary,
            place: Place {
                last_seq,
                ..Place::of(&thread)
            },
            wanted,
        };
        let mut prompt = self.prompt(asking).await?;
        let reserved = self.reserved(run, &prompt).await?;
        prompt.max_output_tokens = pays_for(&prompt, reserved)?;
        prompt.budget_microdollars = reserved;
        let exchange = Exchange {
            thread: Some(thread),
            answer: exchange.answer.map(without_text),
            ..exchange
        };
        Ok((exchange, prompt))
    }

    /// What is set aside for the run. When its process died before it wrote that down, the reservation says it again.
    async fn reserved(&self, run: &Run, prompt: &Prompt) -> Result<i64, Error> {
        if run.reserved_microdollars > 0 {
            return Ok(run.reserved_microdollars);
        }
        let request = self.reservation(run, prompt, 0);
        self.backends.reserve(request).await
    }

    async fn next_attempt(
        &self,
        run: &Run,
        exchange: &Exchange,
        prompt: &Prompt,
    ) -> Result<Run, Error> {
        let answer = exchange.answer.clone().unwrap_or_default();
        let appended = Appended {
            answer_id: answer.id,
            answer_seq: answer.seq,
            reserved_microdollars: prompt.budget_microdollars,
            agent_token_hash: None,
        };
        let run = self.start(run, appended).await?;
        let (lease, attempts) = (run.lease(), run.attempts + 1);
        let held = self
            .insist(|| async move { Ok(self.store.attempt(lease, attempts).await?) })
            .await?;
        if !held {
            return Err(Error::Interrupted);
        }
        Ok(Run { attempts, ..run })
    }

    /// Takes the text so far away; `None` when the answer wants no other any more. Whoever copies the stored text sees
    /// that the row tells of another attempt before there is any text of it.
    async fn supersede(&self, run: &Run) -> Result<Option<Run>, Error> {
        let request = CheckpointRequest {
            thread_id: run.thread_id.to_string(),
            message_id: run.answer_id.unwrap_or_default(),
            run_id: run.id.to_string(),
            fence: run.fence,
            restart: true,
            ..CheckpointRequest::default()
        };
        match self
            .insist(|| self.backends.checkpoint(request.clone()))
            .await
        {
            Ok(_) => {}
            Err(error)
                if error.reason().is_some_and(|reason| {
                    reason == Reason::StaleWrite || GONE.contains(&reason)
                }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let (lease, generation) = (run.lease(), run.generation + 1);
        let held = self
            .insist(|| async move { Ok(self.store.superseded(lease, generation).await?) })
            .await?;
        if !held {
            return Err(Error::Interrupted);
        }
        Ok(Some(Run {
            generation,
            ..run.clone()
        }))
    }
}

/// It was whole, and its process died before the rest was done.
fn has_ended(answer: &Message) -> bool {
    answer.state() != MessageState::Streaming
}

fn without_text(answer: Message) -> Message {
    Message {
        content: String::new(),
        ..answer
    }
}
