//! What answers for a model, and that money adds up.

use proptest::prelude::*;

use super::{Catalogue, Model, estimate_tokens, microdollars_per_1k, most_tokens};
use crate::settings;

const OPENAI_KEY: (&str, &str) = ("providers.openai.api_key", "k");
const AGENT_URL: (&str, &str) = ("providers.agent.url", "http://agent:50051");
const NOTHING: (&str, &str) = ("unconfigured", "nothing");

fn catalogue(set: &[(&str, &str)]) -> Catalogue {
    let settings = settings::tests::read(set).unwrap();
    settings.validate().unwrap();
    Catalogue::new(&settings)
}

/// Who answers for the model, who is asked directly, and whether the answer is scripted.
fn answering<'a>(catalogue: &'a Catalogue, name: &str) -> (&'a str, &'a str, bool) {
    let model = catalogue.by_name(name).unwrap();
    (&model.provider, &model.direct_provider, model.scripted)
}

#[test]
fn models_are_found_by_id_and_name_and_listed_in_order() {
    let catalogue = catalogue(&[]);
    let ids: Vec<_> = catalogue.models().iter().map(|model| model.id).collect();
    assert_eq!(ids, (0..=10).collect::<Vec<_>>());
    assert_eq!(catalogue.by_id(7).unwrap().name, "gpt-4-0613");
    assert_eq!(catalogue.by_name("gpt-4-32k").unwrap().id, 9);
    assert!(catalogue.by_id(11).is_none() && catalogue.by_id(-1).is_none());
    assert!(catalogue.by_name("").is_none());
    let model = catalogue.by_id(0).unwrap();
    assert_eq!((model.input_price, model.output_price), (500, 1500));
    assert_eq!(model.input_room(), 16_385 - 4_096);
}

#[test]
fn without_configuration_the_script_answers_or_nothing_does() {
    let scripted = catalogue(&[]);
    assert_eq!(
        answering(&scripted, "gpt-4"),
        ("scripted", "scripted", true)
    );
    let nothing = catalogue(&[NOTHING]);
    assert_eq!(answering(&nothing, "gpt-4"), ("openai", "openai", false));
}

#[test]
fn a_configured_provider_answers_for_its_own_models_only() {
    let catalogue = catalogue(&[OPENAI_KEY]);
    assert_eq!(answering(&catalogue, "gpt-4"), ("openai", "openai", false));
    assert_eq!(
        answering(&catalogue, "llama3.1:8b"),
        ("scripted", "scripted", true)
    );
}

#[test]
fn the_agent_takes_over_and_summaries_still_go_to_the_vendor() {
    for unconfigured in ["scripted", "nothing"] {
        let catalogue = catalogue(&[AGENT_URL, OPENAI_KEY, ("unconfigured", unconfigured)]);
        assert_eq!(answering(&catalogue, "gpt-4"), ("agent", "openai", false));
        assert_eq!(
            answering(&catalogue, "llama3.1:8b"),
            ("agent", "agent", false)
        );
    }
}

#[test]
fn a_model_that_names_another_agent_keeps_it() {
    let toml = |archivist: &str, agent: &str| {
        let mut settings = settings::tests::read(&[
            ("providers.archivist.kind", "agent"),
            ("providers.archivist.url", archivist),
            ("providers.agent.url", agent),
            OPENAI_KEY,
        ])
        .unwrap();
        settings.models[4].provider = "archivist".to_owned();
        settings.validate().unwrap();
        Catalogue::new(&settings)
    };
    let both = toml("http://archivist:1", "http://agent:1");
    assert_eq!(
        answering(&both, "gpt-4-turbo"),
        ("archivist", "openai", false)
    );
    assert_eq!(answering(&both, "gpt-4"), ("agent", "openai", false));

    let archivist_only = toml("http://archivist:1", "");
    assert_eq!(
        answering(&archivist_only, "gpt-4"),
        ("openai", "openai", false),
        "only the provider called agent takes over"
    );
    let agent_only = toml("", "http://agent:1");
    assert_eq!(
        answering(&agent_only, "gpt-4-turbo"),
        ("agent", "openai", false)
    );
}

#[test]
fn prices_are_whole_microdollars_rounded_up() {
    for (dollars, microdollars) in [
        (0.0, 0),
        (0.0005, 500),
        (0.0015, 1_500),
        (0.03, 30_000),
        (0.06, 60_000),
        (0.000_02, 20),
        (0.000_037_5, 38),
        (1_000.0, 1_000_000_000),
    ] {
        assert_eq!(microdollars_per_1k(dollars), microdollars, "{dollars}");
    }
}

#[test]
fn the_known_example_costs_what_it_always_did() {
    let catalogue = catalogue(&[]);
    let llama = catalogue.by_name("llama3.1:8b").unwrap();
    assert_eq!(llama.cost(100, 50), 250);
    assert_eq!(llama.cost(1, 0), 2, "a started micro-dollar is a whole one");
    assert_eq!(llama.cost(0, 0), 0);
}

#[test]
fn token_counts_of_text() {
    assert_eq!((estimate_tokens(""), most_tokens("")), (0, 0));
    assert_eq!((estimate_tokens("word"), most_tokens("word")), (2, 4));
    assert_eq!((estimate_tokens("字"), most_tokens("字")), (1, 3));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let mut model = catalogue(&[]).by_id(0).unwrap().clone();
    (model.input_price, model.output_price) = (i64::MAX, i64::MAX);
    assert_eq!(model.cost(u32::MAX, u32::MAX), i64::MAX);
    assert_eq!(model.affordable_output(i64::MAX, u32::MAX), 0);
    assert_eq!(model.affordable_output(i64::MIN, 1), 0);
    (model.input_price, model.output_price) = (0, 0);
    assert_eq!(
        model.affordable_output(0, u32::MAX),
        model.max_output_tokens,
        "what is free is always affordable"
    );
}

fn any_model() -> impl Strategy<Value = Model> {
    let price = 0_i64..=1_000_000_000;
    (price.clone(), price, 2_u32..2_000_000)
        .prop_flat_map(|(input, output, context)| {
            (Just(input), Just(output), Just(context), 1..context)
        })
        .prop_map(
            |(input_price, output_price, context_length, max_output_tokens)| Model {
                context_length,
                max_output_tokens,
                input_price,
                output_price,
                ..catalogue(&[]).by_id(0).unwrap().clone()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn more_tokens_never_cost_less(
        model in any_model(), input: u32, output: u32, more in 0_u32..1_000_000
    ) {
        prop_assert!(model.cost(input.saturating_add(more), output) >= model.cost(input, output));
        prop_assert!(model.cost(input, output.saturating_add(more)) >= model.cost(input, output));
        prop_assert!(model.cost(input, output) >= 0);
    }

    #[test]
    fn what_is_reserved_covers_every_answer(
        model in any_model(), bound: u32, input: u32, output: u32
    ) {
        let input = input.min(bound).min(model.context_length);
        let output = output.min(model.max_output_tokens);
        prop_assert!(model.max_cost(bound) >= model.cost(input, output));
    }

    #[test]
    fn a_budget_pays_for_what_it_affords_and_not_for_more(
        model in any_model(), budget in -1_000_i64..10_000_000_000, input in 0_u32..2_000_000
    ) {
        let affordable = model.affordable_output(budget, input);
        prop_assert!(affordable <= model.max_output_tokens);
        if affordable > 0 {
            prop_assert!(model.cost(input, affordable) <= budget);
        }
        if affordable < model.max_output_tokens {
            prop_assert!(model.cost(input, affordable + 1) > budget);
        }
    }

    #[test]
    fn no_text_has_more_tokens_than_bytes(text in ".*") {
        prop_assert!(estimate_tokens(&text) <= most_tokens(&text));
    }
}
