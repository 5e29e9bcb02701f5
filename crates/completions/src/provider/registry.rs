//! The configured providers, each built once, and what is asked of which.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};

use super::agent::Agent;
use super::failure::Failure;
use super::openai::OpenAi;
use super::routing::{Call, Candidate, Reached, route};
use super::scripted::Scripted;
use super::upstream::{Place, Upstream};
use super::{Answer, Chat, Embedded, Prompt, Provider, ProviderError, Relay, Routed, Texts};
use crate::catalogue::{Catalogue, Model};
use crate::settings::{ProviderSettings, Settings};

/// A provider that cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("completions.providers.{provider}: {source}")]
pub struct RegistryError {
    provider: String,
    source: Box<dyn Error + Send + Sync>,
}

/// The configured providers by name. Cloning is cheap; clones share connections, limits and what is known of keys.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalogue: Catalogue,
    upstreams: HashMap<String, Arc<Upstream>>,
    agents: Vec<String>,
    window: Duration,
}

/// An answer that passes through and has begun.
pub struct RoutedChat {
    /// The model that answers: the one that was asked for, or one of its alternatives.
    pub model: Model,
    /// The provider that answers.
    pub provider: String,
    /// What it says.
    pub relay: Relay,
}

impl Registry {
    /// Builds what is configured and connects to nothing. The settings must be valid.
    ///
    /// # Panics
    /// Outside a tokio runtime, when there is an agent.
    pub fn new(settings: &Settings) -> Result<Self, RegistryError> {
        let mut upstreams = HashMap::new();
        let mut agents = Vec::new();
        for (name, settings) in &settings.providers {
            let built = build(settings).map_err(|source| RegistryError {
                provider: name.clone(),
                source,
            })?;
            let Some(provider) = built else { continue };
            let retries = match settings {
                ProviderSettings::OpenAi(openai) => openai.retries,
                ProviderSettings::Agent(_) | ProviderSettings::Scripted(_) => 0,
            };
            if settings.is_agent() {
                agents.push(name.clone());
            }
            let upstream = Upstream::new(name, provider, retries, settings.limits());
            upstreams.insert(name.clone(), Arc::new(upstream));
        }
        Ok(Self(Arc::new(Inner {
            catalogue: Catalogue::new(settings),
            upstreams,
            agents,
            window: Duration::from_secs(settings.route_seconds),
        })))
    }

    /// Asks what answers for the prompt's model in threads, or for one of its alternatives that the prompt fits.
    pub async fn route(&self, prompt: Prompt) -> Result<Routed, ProviderError> {
        let candidates = self.candidates(&prompt.model, |model| prompt.is_for(model));
        self.ask(candidates, prompt).await
    }

    /// Asks in the model's name for work of Confab's own: no agent, unless nothing else answers for it.
    pub async fn route_directly(&self, prompt: Prompt) -> Result<Routed, ProviderError> {
        let model = &prompt.model;
        let spare = model
            .spare_providers
            .iter()
            .filter(|name| **name != model.direct_provider && !self.0.agents.contains(name));
        let names = std::iter::once(&model.direct_provider).chain(spare);
        let candidates = names
            .filter_map(|name| self.candidate(model, name))
            .collect();
        self.ask(candidates, prompt).await
    }

    /// Hands a chat on to what answers for its model, or for one of its alternatives that it fits.
    pub async fn chat(&self, chat: &Chat) -> Result<RoutedChat, ProviderError> {
        let fits = |model: &Model| {
            chat.estimated_input < model.context_length && chat.most_output(model) > 0
        };
        let candidates = self.candidates(&chat.model, fits);
        let reached = route(candidates, self.0.window, chat).await?;
        let Reached {
            candidate,
            begun,
            place,
        } = reached;
        Ok(RoutedChat {
            model: candidate.model,
            provider: candidate.upstream.name.clone(),
            relay: holding(begun, place),
        })
    }

    /// Has vectors made by a model.
    pub async fn embed(&self, model: &Model, texts: &Texts) -> Result<Embedded, ProviderError> {
        let candidates = self.candidates(model, |_| false);
        let reached = route(candidates, self.0.window, texts).await?;
        Ok(reached.begun)
    }

    async fn ask(
        &self,
        candidates: Vec<Candidate>,
        prompt: Prompt,
    ) -> Result<Routed, ProviderError> {
        let Reached {
            candidate,
            begun,
            place,
        } = route(candidates, self.0.window, &prompt).await?;
        Ok(Routed {
            model: candidate.model,
            provider: candidate.upstream.name.clone(),
            answer: holding(begun, place),
        })
    }

    /// The model at its providers, then its alternatives that will do at theirs.
    fn candidates(&self, model: &Model, fits: impl Fn(&Model) -> bool) -> Vec<Candidate> {
        self.0
            .catalogue
            .candidates(model)
            .into_iter()
            .filter(|candidate| candidate.id == model.id || fits(candidate))
            .flat_map(|model| {
                let names = model.providers();
                names.filter_map(|name| self.candidate(model, name))
            })
            .collect()
    }

    fn candidate(&self, model: &Model, provider: &str) -> Option<Candidate> {
        Some(Candidate {
            model: model.clone(),
            upstream: Arc::clone(self.0.upstreams.get(provider)?),
        })
    }
}

#[async_trait::async_trait]
impl Call for Prompt {
    type Begun = Answer;

    async fn attempt(
        &self,
        provider: &dyn Provider,
        model: &Model,
        key: usize,
    ) -> Result<Answer, Failure> {
        if model.id == self.model.id {
            return provider.ask(self, key).await;
        }
        provider.ask(&self.for_alternative(model), key).await
    }
}

#[async_trait::async_trait]
impl Call for Chat {
    type Begun = Relay;

    async fn attempt(
        &self,
        provider: &dyn Provider,
        model: &Model,
        key: usize,
    ) -> Result<Relay, Failure> {
        provider.chat(self, model, key).await
    }
}

#[async_trait::async_trait]
impl Call for Texts {
    type Begun = Embedded;

    async fn attempt(
        &self,
        provider: &dyn Provider,
        model: &Model,
        key: usize,
    ) -> Result<Embedded, Failure> {
        provider.embed(self, model, key).await
    }
}

/// The stream, which holds the place until it is dropped.
fn holding<T: 'static>(
    stream: impl Stream<Item = T> + Send + 'static,
    place: Place,
) -> BoxStream<'static, T> {
    stream
        .map(move |item| {
            let _held = &place;
            item
        })
        .boxed()
}

fn build(
    settings: &ProviderSettings,
) -> Result<Option<Box<dyn Provider>>, Box<dyn Error + Send + Sync>> {
    if !settings.is_configured() {
        return Ok(None);
    }
    let provider: Option<Box<dyn Provider>> = match settings {
        ProviderSettings::OpenAi(openai) => match &openai.base_url {
            Some(url) => Some(Box::new(OpenAi::new(url, openai)?)),
            None => None,
        },
        ProviderSettings::Agent(agent) => match &agent.url {
            Some(url) => Some(Box::new(Agent::new(url, agent.timeout_ms)?)),
            None => None,
        },
        ProviderSettings::Scripted(behaviour) => Some(Box::new(Scripted(*behaviour))),
    };
    Ok(provider)
}
