//! What an answer came to: how it ended, and what is charged for it.

use chrono::{DateTime, Utc};
use confab_rpc::threads::{AnswerReceipt, Message, MessageState};

use super::without_nul;
use crate::catalogue::{Model, estimate_tokens};
use crate::provider::{Bill, End, Prompt, ProviderError};
use crate::store::{Failure, Outcome, Run, State};

#[cfg(test)]
mod tests;

/// How reading an answer ended.
#[derive(Debug)]
pub(crate) enum Read {
    /// The provider said that this was all.
    Ended(End),
    /// The longest answer was reached; the rest was not read.
    Full,
    /// The provider failed.
    Failed(ProviderError),
    /// Its thread was removed; the rest was not read.
    Unwanted,
    /// Somebody stopped it; the rest was not read.
    Cancelled,
}

impl Read {
    /// Whether it is all of the answer.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Full)
    }
}

/// What was asked, as far as it matters for the price.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    /// An estimate of what the model reads.
    pub(crate) estimated_input: u32,
    /// No model reads more of this prompt.
    pub(crate) most_input: u32,
    /// What it was allowed to write.
    pub(crate) most_output: u32,
    /// Messages of the conversation before the question.
    pub(crate) history: usize,
    /// What the model could have read beside this prompt; 0 when a message was left out.
    pub(crate) spare_input: u32,
}

impl Measure {
    pub(crate) fn of(prompt: &Prompt) -> Self {
        let estimated_input = prompt.estimated_tokens();
        let room = if prompt.left_out == 0 {
            prompt.model.input_room()
        } else {
            0
        };
        Self {
            estimated_input,
            most_input: prompt.most_tokens(),
            most_output: prompt.max_output_tokens,
            history: prompt.history.len(),
            spare_input: room.saturating_sub(estimated_input),
        }
    }
}

/// How a run ended and what is charged for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) outcome: Outcome,
    pub(crate) failure: Option<Failure>,
    /// For operators; holds no message text.
    pub(crate) error: Option<String>,
    pub(crate) input_tokens: u32,
    pub(crate) output_tokens: u32,
    pub(crate) cost_microdollars: i64,
    /// The provider's word for it.
    pub(crate) finish_reason: Option<String>,
    /// From the ask to the first text; 0: there is none, or nobody knows.
    pub(crate) first_token_ms: u32,
    /// From the ask to the end.
    pub(crate) duration_ms: u32,
}

/// The longest finish reason that is kept, in bytes.
const FINISH_REASON_BYTES: usize = 255;

impl Receipt {
    /// Of an answer that was read here. Nothing is charged for a failure that said nothing; what the provider does not
    /// count is measured.
    pub(crate) fn new(model: &Model, measure: Measure, text: &str, read: Read) -> Self {
        let measured = || Self::measured(model, measure.estimated_input, text);
        match read {
            Read::Ended(end) => Self {
                finish_reason: end.finish_reason.map(short),
                ..Self::billed(model, measure, text, end.bill)
            },
            Read::Full => measured(),
            Read::Unwanted => Self {
                outcome: Outcome::Cancelled,
                failure: Some(Failure::ThreadGone),
                ..measured()
            },
            Read::Cancelled => Self {
                outcome: Outcome::Cancelled,
                failure: Some(Failure::Cancelled),
                ..measured()
            },
            Read::Failed(error) if text.is_empty() => Self {
                outcome: Outcome::Failed,
                failure: Some(failure_of(&error)),
                error: Some(error.to_string()),
                ..measured()
            },
            Read::Failed(error) => Self {
                outcome: Outcome::Interrupted,
                failure: Some(Failure::Provider),
                error: Some(error.to_string()),
                ..measured()
            },
        }
    }

    /// Of a run whose process died with so much of the answer stored, and which nobody answers anew: `failure` says
    /// why.
    pub(crate) fn cut_short(
        model: Option<&Model>,
        prompt_tokens: u32,
        text: &str,
        failure: Failure,
    ) -> Self {
        let measured = match model {
            Some(model) => Self::measured(model, prompt_tokens, text),
            // It has left the catalogue with its prices.
            None => Self::complete(0, 0, 0),
        };
        Self {
            outcome: match failure {
                Failure::Cancelled => Outcome::Cancelled,
                _ => Outcome::Interrupted,
            },
            failure: Some(failure),
            ..measured
        }
    }

    /// With the time that it took.
    pub(crate) fn timed(
        self,
        run: &Run,
        first_text_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let until = |moment: DateTime<Utc>| {
            let passed = (moment - run.started_at).num_milliseconds();
            u32::try_from(passed.max(0)).unwrap_or(u32::MAX)
        };
        Self {
            first_token_ms: first_text_at.map_or(0, |first| until(first).max(1)),
            duration_ms: until(now),
            ..self
        }
    }

    /// As it was written down.
    pub(crate) fn of(run: &Run) -> Self {
        let tokens = |count: Option<i64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX);
        Self {
            outcome: run.outcome.unwrap_or(Outcome::Interrupted),
            failure: run.failure,
            error: run.error.clone(),
            input_tokens: tokens(run.input_tokens),
            output_tokens: tokens(run.output_tokens),
            cost_microdollars: run.cost_microdollars.unwrap_or(0),
            finish_reason: run.finish_reason.clone(),
            first_token_ms: tokens(run.first_token_ms),
            duration_ms: tokens(run.duration_ms),
        }
    }

    /// Of an answer that has ended in its thread; `None`: it has not, or nobody wrote down what it took.
    pub(crate) fn of_answer(answer: &Message) -> Option<Self> {
        let (outcome, failure) = match answer.state() {
            MessageState::Complete => (Outcome::Complete, None),
            MessageState::Interrupted => (Outcome::Interrupted, Some(Failure::Interrupted)),
            MessageState::Failed => (Outcome::Failed, Some(Failure::Provider)),
            MessageState::Cancelled => (Outcome::Cancelled, Some(Failure::Cancelled)),
            MessageState::Streaming | MessageState::Deleted | MessageState::Unspecified => {
                return None;
            }
        };
        let told = answer.receipt.clone()?;
        Some(Self {
            outcome,
            failure,
            finish_reason: Some(told.finish_reason).filter(|word| !word.is_empty()),
            first_token_ms: told.first_token_ms,
            duration_ms: told.duration_ms,
            ..Self::complete(
                told.input_tokens,
                told.output_tokens,
                told.cost_microdollars,
            )
        })
    }

    /// As the thread keeps it.
    pub(crate) fn told(&self, run: &Run) -> AnswerReceipt {
        AnswerReceipt {
            provider: run.provider.clone(),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_microdollars: self.cost_microdollars,
            finish_reason: self.finish_reason.clone().unwrap_or_default(),
            first_token_ms: self.first_token_ms,
            duration_ms: self.duration_ms,
        }
    }

    /// The run when it has ended so, and its account was charged so much.
    pub(crate) fn ending(&self, run: &Run, charged: i64, now: DateTime<Utc>) -> Run {
        Run {
            state: State::Ended,
            outcome: Some(self.outcome),
            failure: self.failure,
            input_tokens: Some(i64::from(self.input_tokens)),
            output_tokens: Some(i64::from(self.output_tokens)),
            cost_microdollars: Some(charged),
            finish_reason: self.finish_reason.clone(),
            first_token_ms: Some(i64::from(self.first_token_ms)),
            duration_ms: Some(i64::from(self.duration_ms)),
            ended_at: Some(now),
            ..run.clone()
        }
    }

    /// A bill for more than was possible is cut to what was: it cannot be right, and it was not reserved.
    fn billed(model: &Model, measure: Measure, text: &str, bill: Bill) -> Self {
        match bill {
            Bill::Tokens { input, output } => {
                let most_input = measure.most_input.min(model.context_length);
                let most_output = measure.most_output;
                if input > most_input || output > most_output {
                    tracing::warn!(
                        model = model.name,
                        input,
                        most_input,
                        output,
                        most_output,
                        "a provider billed more tokens than there were"
                    );
                }
                let (input, output) = (input.min(most_input), output.min(most_output));
                Self::complete(input, output, model.cost(input, output))
            }
            Bill::Cost(microdollars) => Self {
                cost_microdollars: microdollars.max(0),
                ..Self::measured(model, measure.estimated_input, text)
            },
            Bill::Unknown => Self::measured(model, measure.estimated_input, text),
        }
    }

    fn measured(model: &Model, prompt_tokens: u32, text: &str) -> Self {
        if text.is_empty() {
            return Self::complete(0, 0, 0);
        }
        let output = estimate_tokens(text);
        Self::complete(prompt_tokens, output, model.cost(prompt_tokens, output))
    }

    fn complete(input_tokens: u32, output_tokens: u32, cost_microdollars: i64) -> Self {
        Self {
            outcome: Outcome::Complete,
            failure: None,
            error: None,
            input_tokens,
            output_tokens,
            cost_microdollars,
            finish_reason: None,
            first_token_ms: 0,
            duration_ms: 0,
        }
    }
}

fn short(mut word: String) -> String {
    word.truncate(word.floor_char_boundary(FINISH_REASON_BYTES));
    without_nul(word)
}

fn failure_of(error: &ProviderError) -> Failure {
    match error {
        ProviderError::NoMoney => Failure::NoMoney,
        ProviderError::TooLong => Failure::TooLong,
        ProviderError::Unconfigured
        | ProviderError::Busy
        | ProviderError::Refused { .. }
        | ProviderError::Failed(_) => Failure::Provider,
    }
}
