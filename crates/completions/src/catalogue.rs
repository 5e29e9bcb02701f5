//! The catalogue: which models there are, what answers for each, and what tokens cost.
//!
//! Money is integer micro-dollars and always rounded up, to the next micro-dollar: what was reserved is never less than
//! what the same tokens cost.

use crate::settings::{
    AGENT, ModelKind, ModelSettings, ProviderSettings, SCRIPTED, Settings, Unconfigured,
};

#[cfg(test)]
mod tests;

/// Tokens that a message costs beside its text: who said it, where it ends.
pub const MESSAGE_TOKENS: u32 = 8;
/// Tokens that a prompt costs beside its messages: how the answer begins, and the words that introduce the summary and
/// the files.
pub const PROMPT_TOKENS: u32 = 64;

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What front ends and grants call it.
    pub id: i32,
    /// What providers call it.
    pub name: String,
    /// The provider that answers. When that is not configured, asking it fails.
    pub provider: String,
    /// Providers that are asked in their order when that one does not answer.
    pub spare_providers: Vec<String>,
    /// The provider that is asked for work of Confab's own, such as summaries: never an agent, unless nothing else
    /// answers for this model.
    pub direct_provider: String,
    /// What agents are told.
    pub vendor: String,
    /// Tokens of prompt and answer together; of one text, when it makes vectors.
    pub context_length: u32,
    /// Tokens of the longest answer; less than `context_length`, and 0 when it makes vectors.
    pub max_output_tokens: u32,
    /// Micro-dollars per 1,000 tokens read.
    pub input_price: i64,
    /// Micro-dollars per 1,000 tokens written.
    pub output_price: i64,
    /// Whether the built-in model answers, and not a real one.
    pub scripted: bool,
    /// Names of the models that answer instead when this one's providers cannot, in their order.
    pub alternatives: Vec<String>,
    /// Whether it makes vectors, and answers nothing.
    pub embeds: bool,
    /// Of its vectors; 0: not said, and of a model that answers.
    pub dimensions: u32,
}

impl Model {
    /// What answers for it in threads, in this order.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.provider)
            .chain(&self.spare_providers)
            .map(String::as_str)
    }

    /// What these tokens cost, in micro-dollars.
    #[must_use]
    pub fn cost(&self, input_tokens: u32, output_tokens: u32) -> i64 {
        let thousandths = i128::from(input_tokens) * i128::from(self.input_price)
            + i128::from(output_tokens) * i128::from(self.output_price);
        let microdollars = (thousandths + 999).div_euclid(1_000);
        i64::try_from(microdollars).unwrap_or(i64::MAX)
    }

    /// The most that a prompt of at most so many tokens can cost with its answer, in micro-dollars. No model reads more
    /// than its context.
    #[must_use]
    pub fn max_cost(&self, most_input_tokens: u32) -> i64 {
        self.cost(
            most_input_tokens.min(self.context_length),
            self.max_output_tokens,
        )
    }

    /// How many tokens of an answer `microdollars` pay for after a prompt of so many: at most the model's limit; 0 when
    /// they do not pay for the prompt.
    #[must_use]
    pub fn affordable_output(&self, microdollars: i64, input_tokens: u32) -> u32 {
        self.affordable_each(microdollars, input_tokens, 1)
    }

    /// The same for each of several answers to one prompt.
    #[must_use]
    pub fn affordable_each(&self, microdollars: i64, input_tokens: u32, answers: u32) -> u32 {
        let left = i128::from(microdollars) * 1_000
            - i128::from(input_tokens) * i128::from(self.input_price);
        if left < 0 {
            return 0;
        }
        left.checked_div(i128::from(self.output_price) * i128::from(answers))
            .map_or(self.max_output_tokens, |tokens| {
                u32::try_from(tokens)
                    .unwrap_or(u32::MAX)
                    .min(self.max_output_tokens)
            })
    }

    /// How many tokens of a prompt fit beside the longest answer.
    #[must_use]
    pub fn input_room(&self) -> u32 {
        self.context_length.saturating_sub(self.max_output_tokens)
    }
}

/// How many tokens a text has, roughly: a third of its bytes, rounded up. English has about four bytes to a token,
/// Chinese three, so this errs on the side of too many. For windows and for what no provider counted.
#[must_use]
pub fn estimate_tokens(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(3)).unwrap_or(u32::MAX)
}

/// How many tokens a text has at most: its bytes, as no token is shorter than one. For reservations.
#[must_use]
pub fn most_tokens(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// Every model, by ascending id.
#[derive(Debug, Clone)]
pub struct Catalogue(Vec<Model>);

impl Catalogue {
    /// Decides what answers for each model. The settings must be valid.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut models: Vec<_> = settings
            .models
            .iter()
            .map(|model| resolve(settings, model))
            .collect();
        models.sort_by_key(|model| model.id);
        Self(models)
    }

    /// Every model, by ascending id.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.0
    }

    /// The model with this id.
    #[must_use]
    pub fn by_id(&self, id: i32) -> Option<&Model> {
        let index = self.0.binary_search_by_key(&id, |model| model.id).ok()?;
        self.0.get(index)
    }

    /// What may answer for this model: itself, then its alternatives.
    #[must_use]
    pub fn candidates<'a>(&'a self, model: &'a Model) -> Vec<&'a Model> {
        let alternatives = model.alternatives.iter();
        std::iter::once(model)
            .chain(alternatives.filter_map(|name| self.by_name(name)))
            .collect()
    }

    /// The model with this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Model> {
        self.0.iter().find(|model| model.name == name)
    }
}

fn resolve(settings: &Settings, model: &ModelSettings) -> Model {
    let configured = |name: &str| {
        settings
            .providers
            .get(name)
            .filter(|provider| provider.is_configured())
    };
    let embeds = model.kind == ModelKind::Embedding;
    let providers = answering(settings, model);
    let provider = providers.first().copied().unwrap_or_default();
    let direct_provider = model
        .provider_names()
        .chain([model.vendor.as_str()])
        .find(|name| configured(name).is_some_and(|found| !found.is_agent()))
        .unwrap_or(provider);
    Model {
        id: model.id,
        name: model.name.clone(),
        provider: provider.to_owned(),
        spare_providers: providers.iter().skip(1).map(ToString::to_string).collect(),
        direct_provider: direct_provider.to_owned(),
        vendor: model.vendor.clone(),
        context_length: model.context_length,
        max_output_tokens: model.max_output_tokens,
        input_price: microdollars_per_1k(model.input_price),
        output_price: microdollars_per_1k(model.output_price),
        alternatives: model.alternatives.clone(),
        embeds,
        dimensions: model.dimensions,
        scripted: !embeds && matches!(configured(provider), Some(ProviderSettings::Scripted(_))),
    }
}

/// Who answers for a model, in their order: never nobody. Agents make no vectors, so none takes such a model over.
fn answering<'a>(settings: &'a Settings, model: &'a ModelSettings) -> Vec<&'a str> {
    let is_configured = |name: &str| {
        let provider = settings.providers.get(name);
        provider.is_some_and(ProviderSettings::is_configured)
    };
    let is_agent = |name: &str| {
        let provider = settings.providers.get(name);
        is_configured(name) && provider.is_some_and(ProviderSettings::is_agent)
    };
    let own = || model.provider_names().filter(|name| is_configured(name));
    let takes_over = model.kind == ModelKind::Chat && is_agent(AGENT) && !own().any(is_agent);
    if takes_over {
        return vec![AGENT];
    }
    let own: Vec<_> = own().collect();
    if !own.is_empty() {
        return own;
    }
    if settings.unconfigured == Unconfigured::Scripted {
        return vec![SCRIPTED];
    }
    model.provider_names().take(1).collect()
}

/// Rounded up: a price is never lost. The step over nano-dollars takes away what a binary fraction adds to a decimal.
fn microdollars_per_1k(dollars: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "valid prices are at most 1,000 dollars, and other floats saturate"
    )]
    let nanodollars = (dollars * 1e9).round() as i64;
    nanodollars.saturating_add(999).div_euclid(1_000)
}
