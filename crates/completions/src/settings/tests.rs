//! The shipped settings are valid, the environment reaches every key, and mistakes are named.

use confab_runtime::settings::Layers;
use secrecy::ExposeSecret;

use super::{Behaviour, Limits, OpenAiSettings, ProviderSettings, Settings, Unconfigured};

const DEFAULTS: &str = include_str!("../../../confab/default.toml");

#[derive(serde::Deserialize)]
struct Tree {
    completions: Settings,
}

/// The shipped settings with these keys of `completions` set as environment variables set them.
pub(crate) fn read(set: &[(&str, &str)]) -> Result<Settings, String> {
    merge(DEFAULTS, set)
}

fn merge(toml: &str, set: &[(&str, &str)]) -> Result<Settings, String> {
    let environment = set.iter().map(|(key, value)| {
        let key = key.replace('.', "__").to_uppercase();
        (format!("CONFAB__COMPLETIONS__{key}"), (*value).to_owned())
    });
    Layers {
        defaults: toml,
        environment: environment.collect(),
        ..Layers::default()
    }
    .merge()
    .and_then(|merged| merged.read::<Tree>())
    .map(|tree| tree.completions)
    .map_err(|error| error.to_string())
}

/// What `validate` says to the shipped settings after one replacement in their text.
fn complaint(from: &str, to: &str) -> String {
    assert!(DEFAULTS.contains(from), "{from}");
    merge(&DEFAULTS.replacen(from, to, 1), &[])
        .unwrap()
        .validate()
        .unwrap_err()
        .to_string()
}

#[test]
fn the_shipped_settings_are_valid() {
    let settings = read(&[]).unwrap();
    settings.validate().unwrap();
    assert_eq!(settings.history_entries, 10);
    assert_eq!(settings.unconfigured, Unconfigured::Scripted);
    assert_eq!(settings.models.len(), 11);
    assert!(!settings.has_agent());
    let configured: Vec<_> = settings
        .providers
        .iter()
        .filter(|(_, provider)| provider.is_configured())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(configured, ["scripted"]);
}

#[test]
fn the_environment_reaches_numbers_and_switches_inside_providers() {
    let settings = read(&[
        ("providers.openai.retries", "3"),
        ("providers.openai.needs_key", "false"),
        ("providers.openai.api_key", "0123"),
        ("providers.openai.api_keys", "k1, k2,"),
        ("providers.openai.max_concurrency", "8"),
        ("providers.agent.url", "http://agent:50051"),
        ("providers.agent.timeout_ms", "1000"),
        ("providers.scripted.behaviour", "wrong-usage"),
        ("providers.vllm.kind", "openai"),
        ("providers.vllm.base_url", "http://vllm:8000/v1"),
        ("history_entries", "7"),
        ("summarise", "false"),
        ("unconfigured", "nothing"),
        ("agent_context.listen", "[::1]:9"),
    ])
    .unwrap();
    settings.validate().unwrap();
    let ProviderSettings::OpenAi(openai) = &settings.providers["openai"] else {
        panic!("another kind");
    };
    assert_eq!((openai.retries, openai.needs_key), (3, false));
    assert_eq!(keys(openai), ["0123", "k1", "k2"]);
    assert_eq!(
        openai.limits,
        Limits {
            max_concurrency: 8,
            ..Limits::default()
        }
    );
    let ProviderSettings::Agent(agent) = &settings.providers["agent"] else {
        panic!("another kind");
    };
    assert_eq!(agent.url.as_ref().unwrap().as_str(), "http://agent:50051/");
    assert_eq!(agent.timeout_ms, 1000);
    assert!(matches!(
        settings.providers["scripted"],
        ProviderSettings::Scripted(Behaviour::WrongUsage)
    ));
    assert!(settings.providers["vllm"].is_configured());
    assert!(settings.has_agent());
    assert_eq!((settings.history_entries, settings.summarise), (7, false));
    assert_eq!(settings.unconfigured, Unconfigured::Nothing);
}

fn keys(settings: &OpenAiSettings) -> Vec<&str> {
    let keys = settings.api_keys.iter();
    keys.map(ExposeSecret::expose_secret).collect()
}

#[test]
fn a_key_counts_only_when_it_is_not_empty() {
    for (needs_key, key, configured) in [
        ("true", "", false),
        ("true", "k", true),
        ("false", "", true),
    ] {
        let settings = read(&[
            ("providers.openai.needs_key", needs_key),
            ("providers.openai.api_key", key),
        ])
        .unwrap();
        assert_eq!(settings.providers["openai"].is_configured(), configured);
    }
}

#[test]
fn the_kind_of_a_shipped_provider_can_be_changed() {
    let settings = read(&[("providers.openai.kind", "scripted")]).unwrap();
    settings.validate().unwrap();
    assert!(matches!(
        settings.providers["openai"],
        ProviderSettings::Scripted(Behaviour::Echo)
    ));
}

#[test]
fn what_has_no_meaning_is_refused_by_name() {
    for (key, value, named) in [
        ("providers.openai.retires", "3", "retires"),
        ("providers.openai.retries", "many", "retries"),
        ("providers.openai.kind", "telepathy", "telepathy"),
        ("providers.openai.base_url", "not a url", "openai"),
        ("providers.scripted.behaviour", "sing", "behaviour"),
        ("unconfigured", "anything", "unconfigured"),
        ("files_url", "nowhere", "files_url"),
        ("histroy_entries", "1", "histroy_entries"),
        ("agent_context.listen", "here", "listen"),
    ] {
        let error = read(&[(key, value)]).unwrap_err();
        assert!(error.contains(named), "{key}: {error}");
    }
}

#[test]
fn values_out_of_their_limits_are_refused_by_name() {
    for (key, value, named) in [
        ("history_entries", "0", "history_entries"),
        ("lease_seconds", "2", "lease_seconds"),
        ("restarts", "101", "restarts"),
        ("answer_bytes", "0", "answer_bytes"),
        ("file_link_seconds", "0", "file_link_seconds"),
        ("summary_model", "gpt-none", "gpt-none"),
        ("files_url", "ftp://files", "files_url"),
        ("providers.openai.retries", "11", "openai.retries"),
        ("providers.openai.idle_ms", "0", "openai.idle_ms"),
        ("providers.openai.breaker_failures", "0", "breaker_failures"),
        ("providers.agent.breaker_seconds", "0", "breaker_seconds"),
        ("providers.agent.queue_ms", "600001", "agent.queue_ms"),
        ("route_seconds", "0", "route_seconds"),
        ("providers.agent.timeout_ms", "0", "agent.timeout_ms"),
        (
            "providers.openai.base_url",
            "http://me:pw@host/v1",
            "base_url",
        ),
        ("providers.agent.url", "https://agent:50051", "agent.url"),
        ("providers.scripted.kind", "agent", "unconfigured"),
    ] {
        let error = read(&[(key, value)]).unwrap().validate().unwrap_err();
        let error = error.to_string();
        assert!(error.contains(named), "{key}: {error}");
        assert!(!error.contains("pw"), "{error}");
    }
}

#[test]
fn entries_that_contradict_the_catalogue_are_refused() {
    for (from, to, named) in [
        ("id = 1\n", "id = 0\n", "id is used twice"),
        ("id = 1\n", "id = -1\n", "negative"),
        (
            "name = \"gpt-4\"",
            "name = \"gpt-4-0613\"",
            "name is used twice",
        ),
        ("name = \"gpt-4\"", "name = \" \"", "name is empty"),
        ("provider = \"ollama\"", "provider = \"olama\"", "olama"),
        (
            "max_output_tokens = 4096",
            "max_output_tokens = 0",
            "at least 1",
        ),
        (
            "context_length = 16385",
            "context_length = 4096",
            "more than",
        ),
        (
            "provider = \"ollama\"",
            "providers = [\"ollama\", \"olama\"]",
            "olama",
        ),
        (
            "provider = \"ollama\"",
            "provider = \"ollama\"\nproviders = [\"openai\"]",
            "either",
        ),
        ("provider = \"ollama\"", "", "either"),
        (
            "id = 6\n",
            "id = 6\nalternatives = [\"gpt-5\"]\n",
            "no alternative \"gpt-5\"",
        ),
        (
            "id = 6\n",
            "id = 6\nalternatives = [\"gpt-4\"]\n",
            "its own",
        ),
        (
            "id = 6\n",
            "id = 6\nalternatives = [\"confab-hash-384\"]\n",
            "cannot answer",
        ),
        ("dimensions = 384", "dimensions = 70000", "dimensions"),
        ("input_price = 0.0005", "input_price = -0.1", "price"),
        ("input_price = 0.0005", "input_price = nan", "price"),
        ("input_price = 0.0005", "input_price = inf", "price"),
        ("output_price = 0.0015", "output_price = 1500.0", "price"),
    ] {
        let error = complaint(from, to);
        assert!(error.contains(named), "{to}: {error}");
    }
}
