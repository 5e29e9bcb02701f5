//! The configured providers, each built once.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use super::agent::Agent;
use super::openai::OpenAi;
use super::scripted::Scripted;
use super::{Answer, Prompt, Provider, ProviderError, Routed};
use crate::settings::{ProviderSettings, Settings};

/// A provider that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("completions.providers.{provider}: {source}")]
pub struct RegistryError {
    provider: String,
    source: Box<dyn Error + Send + Sync>,
}

/// The configured providers by name. Cloning is cheap; clones share the connections.
#[derive(Debug, Clone)]
pub struct Registry(Arc<HashMap<String, Arc<dyn Provider>>>);

impl Registry {
    /// Builds what is configured and connects to nothing. The settings must be valid.
    ///
    /// # Panics
    /// Outside a tokio runtime, when there is an agent.
    pub fn new(settings: &Settings) -> Result<Self, RegistryError> {
        let mut providers = HashMap::new();
        for (name, settings) in &settings.providers {
            let built = build(settings).map_err(|source| RegistryError {
                provider: name.clone(),
                source,
            })?;
            if let Some(provider) = built {
                providers.insert(name.clone(), provider);
            }
        }
        Ok(Self(Arc::new(providers)))
    }

    /// Asks what answers for the prompt's model in threads.
    pub async fn route(&self, prompt: Prompt) -> Result<Routed, ProviderError> {
        let provider = prompt.model.provider.clone();
        self.ask(provider, prompt).await
    }

    /// Asks in the model's name for work of Confab's own.
    pub async fn route_directly(&self, prompt: Prompt) -> Result<Routed, ProviderError> {
        let provider = prompt.model.direct_provider.clone();
        self.ask(provider, prompt).await
    }

    async fn ask(&self, provider: String, prompt: Prompt) -> Result<Routed, ProviderError> {
        let model = prompt.model.clone();
        let answer = self.find(&provider).ask(prompt).await?;
        Ok(Routed {
            model,
            provider,
            answer,
        })
    }

    fn find(&self, name: &str) -> Arc<dyn Provider> {
        self.0
            .get(name)
            .map_or_else(|| Arc::new(Nothing) as Arc<dyn Provider>, Arc::clone)
    }
}

fn build(
    settings: &ProviderSettings,
) -> Result<Option<Arc<dyn Provider>>, Box<dyn Error + Send + Sync>> {
    if !settings.is_configured() {
        return Ok(None);
    }
    let provider: Option<Arc<dyn Provider>> = match settings {
        ProviderSettings::OpenAi(openai) => match &openai.base_url {
            Some(url) => Some(Arc::new(OpenAi::new(url, openai)?)),
            None => None,
        },
        ProviderSettings::Agent(agent) => match &agent.url {
            Some(url) => Some(Arc::new(Agent::new(url, agent.timeout_ms)?)),
            None => None,
        },
        ProviderSettings::Scripted(behaviour) => Some(Arc::new(Scripted(*behaviour))),
    };
    Ok(provider)
}

/// Stands for every provider that is not configured.
#[derive(Debug)]
struct Nothing;

#[async_trait::async_trait]
impl Provider for Nothing {
    async fn ask(&self, _: Prompt) -> Result<Answer, ProviderError> {
        Err(ProviderError::Unconfigured)
    }
}
