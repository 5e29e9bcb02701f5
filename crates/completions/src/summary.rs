//! The running summary: what has left a model's window is folded into a few sentences, off the path of any ask. It is
//! charged like an answer. When it cannot be had, the old one stays and the window alone is used.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use confab_rpc::sessions::ReserveRequest;
use confab_rpc::threads::{Message, ReplaceSummaryRequest, Thread};
use confab_rpc::{Fault, Reason};
use futures_util::StreamExt;
use uuid::Uuid;

use crate::catalogue::{Model, PROMPT_TOKENS};
use crate::context::{Exchanges, newest_that_fit, role, weight};
use crate::error::Error;
use crate::history::Span;
use crate::provider::{Piece, Prompt, ProviderError, Role};
use crate::run::{Engine, Measure, Read, Receipt, without_nul};
use crate::store::{Purpose, Run};

#[cfg(test)]
mod tests;

const INSTRUCTIONS: &str = "You keep the running summary of a conversation between a user and an assistant. Write the \
    new summary out of the summary so far and the messages that follow it: 3 to 5 sentences, in the language of the \
    conversation, with the facts, names, decisions and open questions that matter for going on. Reply with the summary \
    alone.";
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The longest summary, in tokens.
const LENGTH: u32 = 512;
/// The most that is folded in one go, in tokens: the rest follows after the next answer.
const FOLDED: u32 = 32_000;

/// The threads that are being summarised: one summary at a time for each, and one more when something was said
/// meanwhile.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<Uuid, Meanwhile>>>);

#[derive(Debug, PartialEq, Eq)]
enum Meanwhile {
    Quiet,
    MoreWasSaid,
}

/// The right to summarise a thread.
struct Turn {
    under_way: UnderWay,
    thread_id: Uuid,
    over: bool,
}

impl UnderWay {
    /// `None`: somebody has the turn, and will take another one for this.
    fn take(&self, thread_id: Uuid) -> Option<Turn> {
        match self.threads().entry(thread_id) {
            Entry::Occupied(mut entry) => {
                entry.insert(Meanwhile::MoreWasSaid);
                None
            }
            Entry::Vacant(entry) => {
                entry.insert(Meanwhile::Quiet);
                Some(Turn {
                    under_way: self.clone(),
                    thread_id,
                    over: false,
                })
            }
        }
    }

    fn threads(&self) -> MutexGuard<'_, HashMap<Uuid, Meanwhile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Whether another turn is wanted; otherwise this one is over.
    fn again(&mut self) -> bool {
        let mut threads = self.under_way.threads();
        let was = threads.insert(self.thread_id, Meanwhile::Quiet);
        if was == Some(Meanwhile::MoreWasSaid) {
            return true;
        }
        threads.remove(&self.thread_id);
        self.over = true;
        false
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.over {
            self.under_way.threads().remove(&self.thread_id);
        }
    }
}

/// What is to be folded.
struct Fold {
    /// The summary will cover everything up to this message.
    until_seq: i64,
    prompt: Prompt,
}

impl Engine {
    /// Brings the thread's summary up to date in a task of its own.
    pub(crate) fn summarise_later(self: &Arc<Self>, user_id: Uuid, thread_id: Uuid) {
        if !self.settings.summarise {
            return;
        }
        let Some(mut turn) = self.summarising.take(thread_id) else {
            return;
        };
        let engine = Arc::clone(self);
        self.tasks.spawn("summary", async move {
            loop {
                match Box::pin(engine.summarise(user_id, thread_id)).await {
                    Ok(()) => {}
                    Err(error) if is_expected(&error) => {
                        tracing::debug!(thread = %thread_id, %error, "no summary");
                    }
                    Err(error) => tracing::warn!(thread = %thread_id, %error, "no summary"),
                }
                if !turn.again() {
                    return;
                }
            }
        });
    }

    /// Whether the next question finds room beside this prompt and its answer, so that nothing has to be folded yet.
    pub(crate) fn has_room(&self, prompt: Measure, answer: &str) -> bool {
        let exchange = 2;
        let tokens = weight(answer).saturating_add(PROMPT_TOKENS);
        prompt.history.saturating_add(exchange) < self.most_entries()
            && tokens <= prompt.spare_input
    }

    /// How many of the last messages of a thread a model sees.
    fn entries(&self) -> usize {
        usize::try_from(self.settings.history_entries).unwrap_or(usize::MAX)
    }

    /// How many it sees at most: what has left the window is shown until there is enough of it to be folded.
    pub(crate) fn most_entries(&self) -> usize {
        if self.settings.summarise {
            self.entries().saturating_mul(2)
        } else {
            self.entries()
        }
    }

    async fn summarise(&self, user_id: Uuid, thread_id: Uuid) -> Result<(), Error> {
        let thread = self.backends.thread(user_id, thread_id).await?;
        let Some(answering) = thread.model_id.and_then(|id| self.catalogue.by_id(id)) else {
            return Ok(());
        };
        let summarising = self
            .catalogue
            .by_name(&self.settings.summary_model)
            .unwrap_or(answering);
        let span = Span {
            user_id,
            thread_id,
            after_seq: thread.summary_seq,
            before_seq: 0,
        };
        let Some(window_seq) = self.window(span, answering, &thread).await? else {
            return Ok(());
        };
        let outside = Span {
            before_seq: window_seq,
            ..span
        };
        let Some(fold) = self.fold(outside, summarising, &thread).await? else {
            return Ok(());
        };
        let run = Run {
            after_seq: thread.summary_seq,
            model_id: summarising.id,
            model: summarising.name.clone(),
            provider: summarising.direct_provider.clone(),
            prompt_tokens: i64::from(fold.prompt.estimated_tokens()),
            ..self.blank_run(Purpose::Summary, user_id, thread_id)
        };
        self.store.insert(run.clone()).await?;
        self.hold(
            run.lease(),
            self.write_summary(&run, fold, &thread, answering),
        )
        .await
        .unwrap_or(Err(Error::Interrupted))
    }

    /// Where the next window will begin; `None` when it holds everything that the summary does not.
    async fn window(
        &self,
        span: Span,
        model: &Model,
        thread: &Thread,
    ) -> Result<Option<i64>, Error> {
        let fixed = PROMPT_TOKENS
            .saturating_add(weight(&thread.instructions))
            .saturating_add(weight(&thread.summary));
        let room = model.input_room().saturating_sub(fixed);
        let most = self.most_entries();
        let newest = span.exchanges(&self.backends, most, room).await?;
        let fits = newest_that_fit(newest.iter().map(|message| message.content.as_str()), room);
        if fits == newest.len() && fits < most {
            return Ok(None);
        }
        let kept = fits.min(self.entries());
        Ok(match newest.len().checked_sub(kept) {
            Some(first) if kept > 0 => Some(newest[first].seq),
            _ => newest.last().map(|message| message.seq + 1),
        })
    }

    /// The oldest messages outside the window, as many as fit into one prompt.
    async fn fold(
        &self,
        outside: Span,
        model: &Model,
        thread: &Thread,
    ) -> Result<Option<Fold>, Error> {
        let mut prompt = Prompt {
            model: model.clone(),
            user_id: outside.user_id,
            thread_id: outside.thread_id,
            instructions: INSTRUCTIONS.to_owned(),
            summary: String::new(),
            history: Vec::new(),
            left_out: 0,
            question: String::new(),
            asked_at: self.clock.now(),
            files: Vec::new(),
            max_output_tokens: model.max_output_tokens.min(LENGTH),
            budget_microdollars: 0,
            ask_back: None,
            parameters: serde_json::Map::new(),
        };
        let used = prompt
            .estimated_tokens()
            .saturating_add(weight(&thread.summary));
        let room = model.input_room().saturating_sub(used).min(FOLDED);
        let mut read: Vec<Message> = Vec::new();
        let mut tokens = 0_u32;
        outside
            .find(&self.backends, |message| {
                tokens = tokens.saturating_add(weight(&message.content));
                if tokens > room && !read.is_empty() {
                    return Some(());
                }
                read.push(message);
                None
            })
            .await?;
        // An answer is folded together with its question, so a question at the end waits for its answer.
        if tokens > room && read.len() > 1 && read.last().is_some_and(is_question) {
            read.pop();
        }
        let Some(until_seq) = read.last().map(|message| message.seq) else {
            return Ok(None);
        };
        let mut exchanges = Exchanges::default();
        for message in read.into_iter().rev() {
            exchanges.take(message);
        }
        let messages = exchanges.newest(usize::MAX);
        if messages.is_empty() {
            return Ok(None);
        }
        prompt.question = material(&thread.summary, &messages, room);
        Ok(Some(Fold { until_seq, prompt }))
    }

    async fn write_summary(
        &self,
        run: &Run,
        fold: Fold,
        thread: &Thread,
        answering: &Model,
    ) -> Result<(), Error> {
        let model = fold.prompt.model.clone();
        let minimum = model.cost(fold.prompt.estimated_tokens(), 1);
        let request = ReserveRequest {
            user_id: run.user_id.to_string(),
            run_id: run.id.to_string(),
            // The user need not be granted the model that only summarises.
            model_id: answering.id,
            minimum_microdollars: minimum,
            maximum_microdollars: model.max_cost(fold.prompt.most_tokens()),
            open_limit: 0,
            background: true,
            ..ReserveRequest::default()
        };
        let reserved = match self.backends.reserve(request).await {
            Ok(reserved) => reserved,
            Err(error) => {
                self.release(run).await?;
                return Err(error);
            }
        };
        let mut prompt = fold.prompt;
        prompt.budget_microdollars = reserved;
        prompt.max_output_tokens = prompt
            .max_output_tokens
            .min(model.affordable_output(reserved, prompt.estimated_tokens()))
            .max(1);
        let measure = Measure::of(&prompt);
        let (text, read) = self.write(prompt).await;
        let receipt = Receipt::new(&model, measure, &text, read);
        self.record(run, &receipt).await?;
        if receipt.failure.is_none() && !text.is_empty() {
            self.replace_summary(run, fold.until_seq, text, thread)
                .await;
        }
        let (charged, _) = self.settle(run, &receipt).await?;
        self.close(run, &receipt, charged, false).await
    }

    /// Asks the model; the text is what came within the time.
    async fn write(&self, prompt: Prompt) -> (String, Read) {
        let mut text = String::new();
        let writing = async {
            let mut answer = match self.providers.route_directly(prompt).await {
                Ok(routed) => routed.answer,
                Err(error) => return Read::Failed(error),
            };
            while let Some(piece) = answer.next().await {
                match piece {
                    Ok(Piece::Text(more)) => text.push_str(&without_nul(more)),
                    Ok(Piece::End(end)) => return Read::Ended(end),
                    Err(error) => return Read::Failed(error),
                }
            }
            Read::Failed(ProviderError::Failed("the summary was cut".to_owned()))
        };
        let read = tokio::time::timeout(TIME_LIMIT, writing)
            .await
            .unwrap_or_else(|_| {
                Read::Failed(ProviderError::Failed(
                    "the summary took too long".to_owned(),
                ))
            });
        (text.trim().to_owned(), read)
    }

    /// Puts the new summary in the old one's place, unless somebody else has.
    async fn replace_summary(&self, run: &Run, until_seq: i64, summary: String, thread: &Thread) {
        let request = ReplaceSummaryRequest {
            user_id: run.user_id.to_string(),
            thread_id: run.thread_id.to_string(),
            expected_seq: thread.summary_seq,
            summary,
            summary_seq: until_seq,
            expected_deletions: thread.deletions,
        };
        if let Err(error) = self
            .insist(|| self.backends.replace_summary(request.clone()))
            .await
        {
            tracing::debug!(run = %run.id, %error, "a summary came too late");
        }
    }
}

fn is_question(message: &Message) -> bool {
    role(message) == Role::User
}

/// A user without money for a summary is no trouble of ours.
fn is_expected(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused(Fault {
            reason: Reason::BalanceInsufficient
                | Reason::ThreadNotFound
                | Reason::ModelNotGranted
                | Reason::UserNotFound,
            ..
        })
    )
}

/// What the new summary is made of, in about `room` tokens beside the old one.
fn material(summary: &str, messages: &[Message], room: u32) -> String {
    let mut text = String::new();
    if !summary.is_empty() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "Summary so far:\n{summary}\n");
    }
    text.push_str("Messages:\n");
    // Three bytes to a token, as in the estimate.
    let most = usize::try_from(room)
        .unwrap_or(usize::MAX)
        .saturating_mul(3);
    for message in messages {
        let name = match role(message) {
            Role::User => "User",
            Role::System => "System",
            Role::Assistant => "Assistant",
        };
        let content = &message.content[..message.content.floor_char_boundary(most)];
        let _ = writeln!(text, "{name}: {content}");
    }
    text
}
