//! What the types of the settings cannot check.

use std::ops::RangeInclusive;

use url::Url;

use super::{Limits, ModelKind, ModelSettings, ProviderSettings, SCRIPTED, Settings, Unconfigured};

/// A dollar per token: a price above that is a mistake of the decimal point.
const DEAREST_PER_1K: f64 = 1_000.0;
const TIME_LIMIT_MS: RangeInclusive<u64> = 1..=86_400_000;
const MOST_RETRIES: u32 = 10;
const MOST_RESTARTS: u32 = 100;
const SHORTEST_LEASE_SECONDS: u64 = 3;
const ROUTE_SECONDS: RangeInclusive<u64> = 1..=3_600;
const MOST_CONCURRENCY: usize = 100_000;
const QUEUE_MS: RangeInclusive<u64> = 0..=600_000;
const BREAKER_FAILURES: RangeInclusive<u32> = 1..=1_000;
const BREAKER_SECONDS: RangeInclusive<u64> = 1..=3_600;
const MOST_DIMENSIONS: u32 = 65_536;
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
        within("restarts", self.restarts, 0..=MOST_RESTARTS)?;
        within("route_seconds", self.route_seconds, ROUTE_SECONDS)?;
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
        } else if let Some(problem) = self.problem_of_providers(model) {
            problem
        } else if let Some(problem) = self.problem_of_alternatives(model) {
            problem
        } else if let Some(problem) = problem_of_size(model) {
            problem.to_owned()
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

impl Settings {
    fn problem_of_providers(&self, model: &ModelSettings) -> Option<String> {
        if model.provider.is_empty() == model.providers.is_empty() {
            return Some("it needs either a provider or a list of providers".to_owned());
        }
        let unknown = model
            .provider_names()
            .find(|name| !self.providers.contains_key(*name))?;
        Some(format!("there is no provider {unknown:?}"))
    }

    fn problem_of_alternatives(&self, model: &ModelSettings) -> Option<String> {
        for name in &model.alternatives {
            let found = self.models.iter().find(|other| other.name == *name);
            match found {
                None => return Some(format!("there is no alternative {name:?}")),
                Some(other) if other.id == model.id => {
                    return Some("it is its own alternative".to_owned());
                }
                // Vectors of two models are not of one space.
                Some(other) if other.kind != model.kind || model.kind == ModelKind::Embedding => {
                    return Some(format!("{name:?} cannot answer instead of it"));
                }
                Some(_) => {}
            }
        }
        None
    }
}

fn problem_of_size(model: &ModelSettings) -> Option<&'static str> {
    match model.kind {
        ModelKind::Chat if model.max_output_tokens == 0 => {
            Some("max_output_tokens must be at least 1")
        }
        ModelKind::Chat if model.context_length <= model.max_output_tokens => {
            Some("context_length must be more than max_output_tokens")
        }
        ModelKind::Embedding if model.context_length == 0 => {
            Some("context_length must be at least 1")
        }
        ModelKind::Embedding if model.dimensions > MOST_DIMENSIONS => {
            Some("dimensions must be at most 65536")
        }
        ModelKind::Chat | ModelKind::Embedding => None,
    }
}

impl ProviderSettings {
    fn validate(&self, name: &str) -> Result<(), SettingsError> {
        let key = |field: &str| format!("providers.{name}.{field}");
        if let Some(limits) = self.limits() {
            limits.validate(name)?;
        }
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

impl Limits {
    fn validate(self, name: &str) -> Result<(), SettingsError> {
        let key = |field: &str| format!("providers.{name}.{field}");
        within(
            key("max_concurrency"),
            self.max_concurrency,
            0..=MOST_CONCURRENCY,
        )?;
        within(key("queue_ms"), self.queue_ms, QUEUE_MS)?;
        within(
            key("breaker_failures"),
            self.breaker_failures,
            BREAKER_FAILURES,
        )?;
        within(
            key("breaker_seconds"),
            self.breaker_seconds,
            BREAKER_SECONDS,
        )
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
