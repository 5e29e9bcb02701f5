//! Section `[completions]`: what may be set. What the types cannot check is in `settings/validation.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

#[cfg(test)]
pub(crate) mod tests;
mod validation;

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
    /// How long an ask waits while the user's earlier ones are being answered.
    pub queue_seconds: u64,
    /// The longest answer, in bytes, up to 2 MiB.
    pub answer_bytes: usize,
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
    /// A name of [`Settings::providers`].
    pub provider: String,
    /// What agents are told.
    pub vendor: String,
    /// Tokens of prompt and answer together.
    pub context_length: u32,
    /// Tokens of the longest answer; less than `context_length`.
    pub max_output_tokens: u32,
    /// US dollars per 1,000 tokens read.
    pub input_price: f64,
    /// US dollars per 1,000 tokens written.
    pub output_price: f64,
}

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
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
    /// What `/chat/completions` is appended to.
    pub base_url: Option<Url>,
    /// Whether it is of no use without a key.
    pub needs_key: bool,
    /// Sent as a bearer token.
    pub api_key: Option<SecretString>,
    /// How long the first text may take, in milliseconds.
    pub first_token_ms: u64,
    /// How long each further piece may take, in milliseconds.
    pub idle_ms: u64,
    /// How often 429, 5xx and connection failures are tried again before the first text.
    pub retries: u32,
}

/// An agent. Configured when it has a URL.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// `http://HOST:PORT`
    pub url: Option<Url>,
    /// How long the whole answer may take, in milliseconds.
    pub timeout_ms: u64,
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
                settings.base_url.is_some() && (settings.api_key.is_some() || !settings.needs_key)
            }
            Self::Agent(settings) => settings.url.is_some(),
            Self::Scripted(_) => true,
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

/// A provider as it is written, with the keys of every kind.
///
/// An enum with a tag inside would read the values before it knows their types, and numbers from the environment are
/// text until their type is asked for. Keys of another kind are ignored: a file can change the kind of a provider that
/// the defaults describe, but not take their keys away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: String,
    base_url: Option<String>,
    needs_key: Option<bool>,
    api_key: Option<SecretString>,
    first_token_ms: Option<u64>,
    idle_ms: Option<u64>,
    retries: Option<u32>,
    url: Option<String>,
    timeout_ms: Option<u64>,
    behaviour: Option<Behaviour>,
}

impl TryFrom<Written> for ProviderSettings {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        use secrecy::ExposeSecret;
        match written.kind.as_str() {
            "openai" => Ok(Self::OpenAi(OpenAiSettings {
                base_url: optional_url(written.base_url)?,
                needs_key: written.needs_key.unwrap_or(false),
                api_key: written
                    .api_key
                    .filter(|key| !key.expose_secret().is_empty()),
                first_token_ms: written.first_token_ms.unwrap_or(60_000),
                idle_ms: written.idle_ms.unwrap_or(30_000),
                retries: written.retries.unwrap_or(2),
            })),
            "agent" => Ok(Self::Agent(AgentSettings {
                url: optional_url(written.url)?,
                timeout_ms: written.timeout_ms.unwrap_or(600_000),
            })),
            "scripted" => Ok(Self::Scripted(written.behaviour.unwrap_or_default())),
            other => Err(format!(
                "kind is {other:?}; it must be \"openai\", \"agent\" or \"scripted\""
            )),
        }
    }
}

fn optional_url(text: Option<String>) -> Result<Option<Url>, String> {
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error| format!("URL: {error}")))
        .transpose()
}

fn http_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}
