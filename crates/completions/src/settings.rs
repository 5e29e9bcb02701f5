//! Section `[completions]`: what may be set. What the types cannot check is in `settings/validation.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

#[cfg(test)]
pub(crate) mod tests;
mod validation;
mod written;

pub use validation::SettingsError;

/// The provider that takes over, when it is a configured agent, every model that names no other agent.
pub const AGENT: &str = "agent";
/// The provider that answers for what is not configured, when [`Unconfigured::Scripted`] says so.
pub const SCRIPTED: &str = "scripted";

/// The bridge to models and agents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How many of the last messages of a thread a model sees, 1 to 1,000.
    pub history_entries: u32,
    /// Whether messages that leave that window are folded into a running summary.
    pub summarise: bool,
    /// Name of the model that summarises; empty: the thread's own.
    pub summary_model: String,
    /// A run whose lease was not renewed for this long is ended by another process; at least 3.
    pub lease_seconds: u64,
    /// How often a run whose process died is begun anew, when what answered can be asked again.
    pub restarts: u32,
    /// How long an ask waits while the user's earlier ones are being answered.
    pub queue_seconds: u64,
    /// The longest answer, in bytes, up to 2 MiB.
    pub answer_bytes: usize,
    /// How long after a call's first attempt another one may be made, in seconds.
    pub route_seconds: u64,
    /// Where agents reach the gateway to fetch files.
    #[serde(deserialize_with = "http_url")]
    pub files_url: Url,
    /// How long links to files are good for, in seconds, 1 to 3,600.
    pub file_link_seconds: u64,
    /// What answers for a model whose provider is not configured.
    pub unconfigured: Unconfigured,
    /// Where runs are kept.
    pub database: confab_database::Settings,
    /// Where agents ask back.
    pub agent_context: AgentContextSettings,
    /// Providers by name.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// The catalogue.
    pub models: Vec<ModelSettings>,
}

/// What answers for a model whose provider is not configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unconfigured {
    /// The provider called `scripted`, which says in each answer that it is no real model.
    Scripted,
    /// Nothing: asking it fails.
    Nothing,
}

/// Section `[completions.agent_context]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentContextSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address that agents are told; empty: `listen`.
    pub advertise: String,
}

/// One entry of `[[completions.models]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// What front ends and grants call it, 0 or more; unique.
    pub id: i32,
    /// What providers call it; unique.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub kind: ModelKind,
    /// A name of [`Settings::providers`]; empty when `providers` is not.
    #[serde(default)]
    pub provider: String,
    /// Names of [`Settings::providers`], asked in this order until one answers.
    #[serde(default)]
    pub providers: Vec<String>,
    /// Names of models that answer when no provider of this one does, in this order.
    #[serde(default)]
    pub alternatives: Vec<String>,
    /// What agents are told.
    pub vendor: String,
    /// Tokens of prompt and answer together; of one text, when it makes vectors.
    pub context_length: u32,
    /// Tokens of the longest answer; less than `context_length`. 0 when it makes vectors.
    #[serde(default)]
    pub max_output_tokens: u32,
    /// US dollars per 1,000 tokens read.
    pub input_price: f64,
    /// US dollars per 1,000 tokens written.
    #[serde(default)]
    pub output_price: f64,
    /// Of its vectors; 0: not said.
    #[serde(default)]
    pub dimensions: u32,
}

impl ModelSettings {
    /// The providers that answer for it, in their order.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.provider)
            .chain(&self.providers)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// It answers.
    #[default]
    Chat,
    /// It makes vectors of texts.
    Embedding,
}

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "written::Written")]
pub enum ProviderSettings {
    /// A server with OpenAI's chat completions.
    OpenAi(OpenAiSettings),
    /// A gRPC server of `ai_service.proto`.
    Agent(AgentSettings),
    /// The built-in model.
    Scripted(Behaviour),
}

/// A server with OpenAI's chat completions. Configured when it has a base URL, and a key if it needs one.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// What `/chat/completions` and `/embeddings` are appended to.
    pub base_url: Option<Url>,
    /// Whether it is of no use without a key.
    pub needs_key: bool,
    /// Sent as a bearer token, the first one that is not resting; none: no token is sent.
    pub api_keys: Vec<SecretString>,
    /// How long the first text may take, in milliseconds.
    pub first_token_ms: u64,
    /// How long each further piece may take, in milliseconds.
    pub idle_ms: u64,
    /// How often what failed for the moment is tried again before the first text, when nothing else answers.
    pub retries: u32,
    /// How much is asked of it.
    pub limits: Limits,
}

/// An agent. Configured when it has a URL.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// `http://HOST:PORT`
    pub url: Option<Url>,
    /// How long the whole answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// How much is asked of it.
    pub limits: Limits,
}

/// How much is asked of a provider, and when it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Answers that are read at once; 0: no limit.
    pub max_concurrency: usize,
    /// How long a call waits for its place among them, in milliseconds.
    pub queue_ms: u64,
    /// So many failures in a row open the breaker: nothing is asked any more.
    pub breaker_failures: u32,
    /// How long it stays open, in seconds; then one call is let through to see.
    pub breaker_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrency: 0,
            queue_ms: 1_000,
            breaker_failures: 5,
            breaker_seconds: 30,
        }
    }
}

/// What the scripted model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Repeats the question.
    #[default]
    Echo,
    /// Repeats the question, one word in 100 ms.
    Slow,
    /// Fails after three words.
    Fail,
    /// Repeats the question and claims a million tokens each way.
    WrongUsage,
}

impl ProviderSettings {
    /// Whether it has what it needs to answer.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        match self {
            Self::OpenAi(settings) => {
                settings.base_url.is_some()
                    && (!settings.api_keys.is_empty() || !settings.needs_key)
            }
            Self::Agent(settings) => settings.url.is_some(),
            Self::Scripted(_) => true,
        }
    }

    /// How much is asked of it. The built-in model has no limits.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        match self {
            Self::OpenAi(settings) => Some(settings.limits),
            Self::Agent(settings) => Some(settings.limits),
            Self::Scripted(_) => None,
        }
    }

    /// Whether it is an agent, configured or not.
    #[must_use]
    pub fn is_agent(&self) -> bool {
        matches!(self, Self::Agent(_))
    }
}

impl Settings {
    /// Whether any agent is configured, and context has to be served to it.
    #[must_use]
    pub fn has_agent(&self) -> bool {
        self.providers
            .values()
            .any(|provider| provider.is_agent() && provider.is_configured())
    }
}

fn http_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}
