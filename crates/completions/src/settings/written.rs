//! A provider as it is written, with the keys of every kind.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{AgentSettings, Behaviour, Limits, OpenAiSettings, ProviderSettings};

/// An enum with a tag inside would read the values before it knows their types, and numbers from the environment are
/// text until their type is asked for. Keys of another kind are ignored: a file can change the kind of a provider that
/// the defaults describe, but not take their keys away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    kind: String,
    base_url: Option<String>,
    needs_key: Option<bool>,
    api_key: Option<SecretString>,
    #[serde(default, deserialize_with = "secrets")]
    api_keys: Vec<SecretString>,
    first_token_ms: Option<u64>,
    idle_ms: Option<u64>,
    retries: Option<u32>,
    url: Option<String>,
    timeout_ms: Option<u64>,
    behaviour: Option<Behaviour>,
    max_concurrency: Option<usize>,
    queue_ms: Option<u64>,
    breaker_failures: Option<u32>,
    breaker_seconds: Option<u64>,
}

impl TryFrom<Written> for ProviderSettings {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let limits = written.limits();
        match written.kind.as_str() {
            "openai" => Ok(Self::OpenAi(OpenAiSettings {
                base_url: optional_url(written.base_url)?,
                needs_key: written.needs_key.unwrap_or(false),
                api_keys: written
                    .api_key
                    .into_iter()
                    .chain(written.api_keys)
                    .filter(|key| !key.expose_secret().is_empty())
                    .collect(),
                first_token_ms: written.first_token_ms.unwrap_or(60_000),
                idle_ms: written.idle_ms.unwrap_or(30_000),
                retries: written.retries.unwrap_or(2),
                limits,
            })),
            "agent" => Ok(Self::Agent(AgentSettings {
                url: optional_url(written.url)?,
                timeout_ms: written.timeout_ms.unwrap_or(600_000),
                limits,
            })),
            "scripted" => Ok(Self::Scripted(written.behaviour.unwrap_or_default())),
            other => Err(format!(
                "kind is {other:?}; it must be \"openai\", \"agent\" or \"scripted\""
            )),
        }
    }
}

impl Written {
    fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            max_concurrency: self.max_concurrency.unwrap_or(usual.max_concurrency),
            queue_ms: self.queue_ms.unwrap_or(usual.queue_ms),
            breaker_failures: self.breaker_failures.unwrap_or(usual.breaker_failures),
            breaker_seconds: self.breaker_seconds.unwrap_or(usual.breaker_seconds),
        }
    }
}

/// A list, or a text with commas, as environment variables have it.
fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    let keys: Vec<String> = confab_runtime::settings::comma_separated(deserializer)?;
    Ok(keys.into_iter().map(SecretString::from).collect())
}

fn optional_url(text: Option<String>) -> Result<Option<Url>, String> {
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|error| format!("URL: {error}")))
        .transpose()
}
