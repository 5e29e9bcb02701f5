//! What answers for a model: one file per kind of provider.

mod agent;
mod breaker;
mod chat;
mod failure;
pub(crate) mod fields;
mod hashing;
mod openai;
mod registry;
mod rendering;
mod routing;
mod scripted;
#[cfg(test)]
pub(crate) mod tests;
mod upstream;

use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::catalogue::{MESSAGE_TOKENS, Model, PROMPT_TOKENS, estimate_tokens, most_tokens};

pub use chat::{Chat, Embedded, Relay, Said, Texts};
pub use failure::{Cause, Failure};
pub use registry::{Registry, RegistryError, RoutedChat};

/// One question with everything a provider needs to answer it.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The model that shall answer.
    pub model: Model,
    /// The asking user.
    pub user_id: Uuid,
    /// The thread.
    pub thread_id: Uuid,
    /// The session's system prompt; may be empty.
    pub instructions: String,
    /// What was said before the history, in a model's words; may be empty.
    pub summary: String,
    /// The window of earlier messages, oldest first.
    pub history: Vec<Turn>,
    /// How many messages before those there was no room for.
    pub left_out: usize,
    /// What is asked.
    pub question: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// Links to the question's files that can be fetched without a credential.
    pub files: Vec<String>,
    /// The longest answer, in tokens: what the model allows and the reservation pays for.
    pub max_output_tokens: u32,
    /// What this call may cost, in micro-dollars.
    pub budget_microdollars: i64,
    /// With which an agent may ask back; `None` when nothing is served for that.
    pub ask_back: Option<AskBack>,
    /// Parameters of OpenAI's chat completions for this answer; agents do not see them.
    pub parameters: Map<String, Value>,
}

impl Prompt {
    /// How many tokens a model reads here, roughly.
    #[must_use]
    pub fn estimated_tokens(&self) -> u32 {
        self.measure(estimate_tokens)
    }

    /// How many tokens a model reads here at most.
    #[must_use]
    pub fn most_tokens(&self) -> u32 {
        self.measure(most_tokens)
    }

    /// Whether another model than its own may answer it: it must fit, and what is set aside must pay for an answer.
    fn is_for(&self, model: &Model) -> bool {
        let input = self.estimated_tokens();
        input < model.context_length && model.affordable_output(self.budget_microdollars, input) > 0
    }

    fn for_alternative(&self, model: &Model) -> Self {
        let affordable = model.affordable_output(self.budget_microdollars, self.estimated_tokens());
        Self {
            max_output_tokens: self.max_output_tokens.min(affordable),
            model: model.clone(),
            ..self.clone()
        }
    }

    fn measure(&self, tokens: fn(&str) -> u32) -> u32 {
        let fixed = [&self.instructions, &self.summary, &self.question];
        let history = self.history.iter().map(|turn| &turn.content);
        fixed
            .into_iter()
            .chain(history)
            .chain(&self.files)
            .map(|text| tokens(text).saturating_add(MESSAGE_TOKENS))
            .fold(PROMPT_TOKENS, u32::saturating_add)
    }
}

/// One earlier message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A person.
    User,
    /// The model.
    Assistant,
    /// Whoever leads the conversation: an instruction in its place.
    System,
}

/// How an agent asks for context while it answers.
#[derive(Debug, Clone)]
pub struct AskBack {
    /// Address of the `AgentContext` service.
    pub address: String,
    /// The run's token; a secret.
    pub token: secrecy::SecretString,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// More text; never empty.
    Text(String),
    /// The end; nothing follows.
    End(End),
}

/// How an answer ended that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What it took.
    pub bill: Bill,
    /// The provider's word for why it ended here (`stop`, `length`, `content_filter`), if it has one.
    pub finish_reason: Option<String>,
}

/// An answer that has begun.
pub struct Routed {
    /// The model that answers: the one that was asked for, or one of its alternatives.
    pub model: Model,
    /// The provider that answers.
    pub provider: String,
    /// What it says.
    pub answer: Answer,
}

/// What an answer took, as far as the provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bill {
    /// Tokens, to be priced by the catalogue.
    Tokens {
        /// Read by the model.
        input: u32,
        /// Written by the model.
        output: u32,
    },
    /// Money, in micro-dollars, 0 or more.
    Cost(i64),
    /// It did not say: the text is measured instead.
    Unknown,
}

/// Why a provider did not answer, or not to the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The agent says that the user cannot pay.
    #[error("the agent found the budget too small")]
    NoMoney,
    /// More than the model takes in.
    #[error("the model's context is too small for the prompt")]
    TooLong,
    /// It finds the request wrong.
    #[error("{said}")]
    Refused {
        /// For operators: holds no message text or key.
        said: String,
        /// For whoever made the request: it may repeat what was asked.
        message: String,
    },
    /// Every place at it is taken.
    #[error("the provider has too much to do")]
    Busy,
    /// No provider is configured for this model.
    #[error("no provider is configured for this model")]
    Unconfigured,
    /// It refused, failed or was late; the text is for operators and holds no message text or key.
    #[error("{0}")]
    Failed(String),
}

/// An answer as it is written. Dropping it stops the upstream call.
pub type Answer = BoxStream<'static, Result<Piece, ProviderError>>;

/// Something that answers for models, once for each call: what follows a failure is decided in [`routing`].
///
/// Failures before the first token come back as such; an `Ok` may still end in an error. A stream that ends without its
/// end was cut.
#[async_trait::async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// How many keys it has, 1 or more; calls name one of them by its place.
    fn keys(&self) -> usize {
        1
    }

    /// Starts an answer by the prompt's model.
    async fn ask(&self, prompt: &Prompt, key: usize) -> Result<Answer, Failure>;

    /// Hands a request on to a model as it is.
    async fn chat(&self, chat: &Chat, model: &Model, key: usize) -> Result<Relay, Failure>;

    /// Makes vectors.
    async fn embed(&self, texts: &Texts, model: &Model, key: usize) -> Result<Embedded, Failure>;
}
