//! What the types of the settings cannot check.

use std::ops::RangeInclusive;

use url::Url;

use super::{ModelSettings, ProviderSettings, SCRIPTED, Settings, Unconfigured};

/// A dollar per token: a price above that is a mistake of the decimal point.
const DEAREST_PER_1K: f64 = 1_000.0;
const TIME_LIMIT_MS: RangeInclusive<u64> = 1..=86_400_000;
const MOST_RETRIES: u32 = 10;
const SHORTEST_LEASE_SECONDS: u64 = 3;
const ENTRIES: RangeInclusive<u32> = 1..=1_000;
const ANSWER_BYTES: RangeInclusive<usize> = 1..=2 * 1024 * 1024;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The database's.
    #[error("completions.database: {0}")]
    Database(#[from] confab_database::SettingsError),
    /// A number outside its limits.
    #[error("completions.{key} must be {limits}")]
    Number {
        /// Where.
        key: String,
        /// What is allowed.
        limits: String,
    },
    /// A URL that cannot be used.
    #[error("completions.{key}: {problem}")]
    Url {
        /// Where.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry of the catalogue that cannot be used.
    #[error("completions.models, {model}: {problem}")]
    Model {
        /// Id and name.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `summary_model` is not in the catalogue.
    #[error("completions.summary_model: there is no model {0:?}")]
    SummaryModel(String),
    /// `unconfigured = "scripted"` without a scripted provider of that name.
    #[error(
        "completions.unconfigured is \"scripted\", but the provider called scripted is not of that kind"
    )]
    NoScripted,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()?;
        self.validate_numbers()?;
        validate_url("files_url", &self.files_url)?;
        for (name, provider) in &self.providers {
            provider.validate(name)?;
        }
        for (index, model) in self.models.iter().enumerate() {
            self.validate_model(model, &self.models[..index])?;
        }
        let known = |name: &str| self.models.iter().any(|model| model.name == name);
        if !self.summary_model.is_empty() && !known(&self.summary_model) {
            return Err(SettingsError::SummaryModel(self.summary_model.clone()));
        }
        let scripted = self.providers.get(SCRIPTED);
        if self.unconfigured == Unconfigured::Scripted
            && !matches!(scripted, Some(ProviderSettings::Scripted(_)))
        {
            return Err(SettingsError::NoScripted);
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), SettingsError> {
        within("history_entries", self.history_entries, ENTRIES)?;
        within("answer_bytes", self.answer_bytes, ANSWER_BYTES)?;
        within(
            "lease_seconds",
            self.lease_seconds,
            SHORTEST_LEASE_SECONDS..=3_600,
        )?;
        within("queue_seconds", self.queue_seconds, 0..=86_400)?;
        within("file_link_seconds", self.file_link_seconds, 1..=3_600)
    }

    fn validate_model(
        &self,
        model: &ModelSettings,
        earlier: &[ModelSettings],
    ) -> Result<(), SettingsError> {
        let problem = if model.id < 0 {
            "the id is negative".to_owned()
        } else if model.name.trim().is_empty() {
            "the name is empty".to_owned()
        } else if earlier.iter().any(|other| other.id == model.id) {
            "the id is used twice".to_owned()
        } else if earlier.iter().any(|other| other.name == model.name) {
            "the name is used twice".to_owned()
        } else if !self.providers.contains_key(&model.provider) {
            format!("there is no provider {:?}", model.provider)
        } else if model.max_output_tokens == 0 {
            "max_output_tokens must be at least 1".to_owned()
        } else if model.context_length <= model.max_output_tokens {
            "context_length must be more than max_output_tokens".to_owned()
        } else if !is_price(model.input_price) || !is_price(model.output_price) {
            format!("a price must be 0 to {DEAREST_PER_1K} dollars per 1,000 tokens")
        } else {
            return Ok(());
        };
        Err(SettingsError::Model {
            model: format!("{} {:?}", model.id, model.name),
            problem,
        })
    }
}

impl ProviderSettings {
    fn validate(&self, name: &str) -> Result<(), SettingsError> {
        let key = |field: &str| format!("providers.{name}.{field}");
        match self {
            Self::OpenAi(settings) => {
                within(
                    key("first_token_ms"),
                    settings.first_token_ms,
                    TIME_LIMIT_MS,
                )?;
                within(key("idle_ms"), settings.idle_ms, TIME_LIMIT_MS)?;
                within(key("retries"), settings.retries, 0..=MOST_RETRIES)?;
                settings
                    .base_url
                    .as_ref()
                    .map_or(Ok(()), |url| validate_url(key("base_url"), url))
            }
            Self::Agent(settings) => {
                within(key("timeout_ms"), settings.timeout_ms, TIME_LIMIT_MS)?;
                let Some(url) = &settings.url else {
                    return Ok(());
                };
                if url.scheme() == "https" {
                    return Err(SettingsError::Url {
                        key: key("url"),
                        problem: "agents are called without TLS: http://HOST:PORT",
                    });
                }
                validate_url(key("url"), url)
            }
            Self::Scripted(_) => Ok(()),
        }
    }
}

fn within<T: Copy + PartialOrd + std::fmt::Display>(
    key: impl Into<String>,
    value: T,
    limits: RangeInclusive<T>,
) -> Result<(), SettingsError> {
    if limits.contains(&value) {
        return Ok(());
    }
    Err(SettingsError::Number {
        key: key.into(),
        limits: format!("{} to {}", limits.start(), limits.end()),
    })
}

/// A password in a URL would be shown wherever the URL is.
fn validate_url(key: impl Into<String>, url: &Url) -> Result<(), SettingsError> {
    let problem = if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        "the URL must start with http:// or https://"
    } else if !url.username().is_empty() || url.password().is_some() {
        "a user name or password in the URL is not supported"
    } else {
        return Ok(());
    };
    Err(SettingsError::Url {
        key: key.into(),
        problem,
    })
}

fn is_price(dollars: f64) -> bool {
    (0.0..=DEAREST_PER_1K).contains(&dollars)
}
