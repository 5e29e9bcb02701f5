//! What answers for a model, and that money adds up.

use confab_runtime::settings::Layers;
use proptest::prelude::*;

use super::{Catalogue, Model, estimate_tokens, most_tokens};
use crate::settings::{Settings, SettingsError};

const DEFAULTS: &str = include_str!("../../../confab/default.toml");

#[derive(serde::Deserialize)]
struct Tree {
    completions: Settings,
}

/// The shipped settings with these keys overridden as environment variables override them.
fn settings(overrides: &[(&str, &str)]) -> Result<Settings, String> {
    let environment = overrides.iter().map(|(key, value)| {
        let key = format!("CONFAB__COMPLETIONS__{}", key.to_uppercase());
        (key, (*value).to_owned())
    });
    Layers {
        defaults: DEFAULTS,
        environment: environment.collect(),
        ..Layers::default()
    }
    .merge()
    .and_then(|merged| merged.read::<Tree>())
    .map(|tree| tree.completions)
    .map_err(|error| error.to_string())
}

fn catalogue(overrides: &[(&str, &str)]) -> Catalogue {
    let settings = settings(overrides).unwrap();
    settings.validate().unwrap();
    Catalogue::new(&settings)
}

/// Provider, direct provider, whether scripted.
fn answering(catalogue: &Catalogue, name: &str) -> (String, String, bool) {
    let model = catalogue.by_name(name).unwrap().clone();
    (model.provider, model.direct_provider, model.scripted)
}

fn expected(provider: &str, direct: &str, scripted: bool) -> (String, String, bool) {
    (provider.to_owned(), direct.to_owned(), scripted)
}
