//! Keys, providers and alternatives against HTTP servers; and vectors.

use serde_json::json;

use super::http::{END, Server, TEXT, ok, status};
use crate::catalogue::Catalogue;
use crate::provider::tests::{prompt, read};
use crate::provider::{Prompt, ProviderError, Registry, Texts};
use crate::settings::{self, Settings};

/// Two providers at these addresses; `gpt-4` is answered by both, and by `gpt-4-turbo` of the second one instead.
fn settings(first: &str, second: &str) -> Settings {
    let mut settings = settings::tests::read(&[
        ("providers.openai.base_url", first),
        ("providers.openai.api_keys", "k1,k2"),
        ("providers.openai.retries", "0"),
        ("providers.other.kind", "openai"),
        ("providers.other.base_url", second),
        ("providers.other.retries", "0"),
    ])
    .unwrap();
    for model in &mut settings.models {
        if model.name == "gpt-4" {
            model.provider.clear();
            model.providers = vec!["openai".to_owned(), "other".to_owned()];
            model.alternatives = vec!["gpt-4-turbo".to_owned()];
        }
        if model.name == "gpt-4-turbo" {
            model.provider = "other".to_owned();
        }
    }
    settings.validate().unwrap();
    settings
}

/// The model and provider that answer `gpt-4`.
async fn answering(registry: &Registry, settings: &Settings) -> Result<String, ProviderError> {
    let model = Catalogue::new(settings).by_name("gpt-4").unwrap().clone();
    let prompt = Prompt {
        max_output_tokens: model.max_output_tokens,
        model,
        ..prompt("Why?")
    };
    let routed = registry.route(prompt).await?;
    assert_eq!(read(routed.answer).await.0, "Hello");
    Ok(format!("{} {}", routed.provider, routed.model.name))
}

fn fine() -> axum::response::Response {
    ok([TEXT, END].concat())
}

fn keys(server: &Server) -> Vec<String> {
    let asked = server.asked().into_iter();
    asked
        .map(|(_, headers, _)| headers["authorization"].to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_limited_key_gives_way_to_the_next_one() {
    let limited = axum::response::Response::builder().status(429);
    let limited = limited.body(axum::body::Body::empty()).unwrap();
    let (first, url) = Server::with([limited, fine(), fine()]).await;
    let (second, other) = Server::with([]).await;
    let settings = settings(&url, &other);
    let registry = Registry::new(&settings).unwrap();
    for _ in 0..2 {
        let answered = answering(&registry, &settings).await;
        assert_eq!(answered.as_deref(), Ok("openai gpt-4"));
    }
    assert_eq!(keys(&first), ["Bearer k1", "Bearer k2", "Bearer k2"]);
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn a_broken_provider_gives_way_to_the_next_one_and_that_to_the_alternative() {
    let (first, url) = Server::with([status(500, ""), status(503, "")]).await;
    let (second, other) = Server::with([fine(), status(404, ""), fine()]).await;
    let settings = settings(&url, &other);
    let registry = Registry::new(&settings).unwrap();
    let answered = answering(&registry, &settings).await;
    assert_eq!(answered.as_deref(), Ok("other gpt-4"));
    let answered = answering(&registry, &settings).await;
    assert_eq!(answered.as_deref(), Ok("other gpt-4-turbo"));
    assert_eq!((first.asked().len(), second.asked().len()), (2, 3));
    let body: serde_json::Value = serde_json::from_slice(&second.asked()[2].2).unwrap();
    assert_eq!(body["model"], "gpt-4-turbo");
}

#[tokio::test]
async fn what_is_cut_before_any_text_goes_on_and_after_it_does_not() {
    let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let (_, url) = Server::with([ok(role), ok(TEXT)]).await;
    let (second, other) = Server::with([fine()]).await;
    let settings = settings(&url, &other);
    let registry = Registry::new(&settings).unwrap();
    let answered = answering(&registry, &settings).await;
    assert_eq!(answered.as_deref(), Ok("other gpt-4"));

    let model = Catalogue::new(&settings).by_name("gpt-4").unwrap().clone();
    let prompt = Prompt {
        model,
        ..prompt("Why?")
    };
    let (text, end) = read(registry.route(prompt).await.unwrap().answer).await;
    assert_eq!(text, "Hello");
    assert!(matches!(end, Err(ProviderError::Failed(_))), "{end:?}");
    assert_eq!(second.asked().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_although_others_could_be_asked() {
    let refusal = "{\"error\":{\"message\":\"no\",\"code\":\"content_policy_violation\"}}";
    let (_, url) = Server::with([status(400, refusal)]).await;
    let (second, other) = Server::with([]).await;
    let settings = settings(&url, &other);
    let registry = Registry::new(&settings).unwrap();
    let refused = ProviderError::Refused {
        said: "status 400, content_policy_violation".to_owned(),
        message: "no".to_owned(),
    };
    assert_eq!(answering(&registry, &settings).await, Err(refused));
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn vectors_come_in_batches_as_floats_or_as_bytes() {
    let floats: Vec<_> = (0..256)
        .map(|index| json!({"index": index, "embedding": [f32::from(u8::try_from(index).unwrap()), 0.5]}))
        .collect();
    let floats = json!({"data": floats, "usage": {"prompt_tokens": 300}}).to_string();
    // 1.0 and -2.0
    let bytes = json!({"data": [{"embedding": "AACAPwAAAMA="}], "usage": {"prompt_tokens": 3}});
    let (server, url) = Server::with([ok(floats), ok(bytes.to_string())]).await;
    let settings = settings(&url, &url);
    let registry = Registry::new(&settings).unwrap();
    let texts = Texts {
        inputs: vec!["x".to_owned(); 257],
        dimensions: 2,
    };
    let model = Catalogue::new(&settings)
        .by_name("gpt-3.5-turbo")
        .unwrap()
        .clone();
    let embedded = registry.embed(&model, &texts).await.unwrap();
    assert_eq!(embedded.tokens, Some(303));
    assert_eq!(embedded.vectors.len(), 257);
    assert_eq!(
        (&embedded.vectors[255], &embedded.vectors[256]),
        (&vec![255.0, 0.5], &vec![1.0, -2.0])
    );
    let (uri, _, body) = server.asked().remove(1);
    assert_eq!(uri, "/v1/embeddings");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"model": "gpt-3.5-turbo", "input": ["x"], "encoding_format": "base64", "dimensions": 2})
    );
}

#[tokio::test]
async fn vectors_that_do_not_fit_the_texts_are_none() {
    for data in [
        json!([]),
        json!([{"embedding": [1.0]}, {"embedding": [1.0]}]),
        json!([{"index": 1, "embedding": [1.0]}]),
        json!([{"embedding": []}]),
        json!([{"embedding": "AAA="}]),
        json!([{"embedding": "AADAfw=="}]),
    ] {
        let (_, url) = Server::with([ok(json!({"data": data}).to_string())]).await;
        let settings = settings(&url, &url);
        let registry = Registry::new(&settings).unwrap();
        let texts = Texts {
            inputs: vec!["x".to_owned()],
            dimensions: 0,
        };
        let model = Catalogue::new(&settings)
            .by_name("gpt-3.5-turbo")
            .unwrap()
            .clone();
        let error = registry.embed(&model, &texts).await.unwrap_err();
        let none = ProviderError::Failed("the answer holds no vectors for the texts".to_owned());
        assert_eq!(error, none, "{data}");
    }
}
