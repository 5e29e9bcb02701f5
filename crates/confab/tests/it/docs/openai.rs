//! `/v1`.

use confab_rpc::threads::{CreateThreadRequest, ThreadKind};
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{Shape, System};
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{Api, is_guarded, says};
use super::{DOLLAR, key};

const MODEL: &str = "gpt-4-turbo";
const EMBEDDING: &str = "confab-hash-384";
/// Ids of the two.
const MODELS: [i32; 2] = [4, 10];

fn question(text: &str) -> Value {
    json!({ "model": MODEL, "messages": [{ "role": "user", "content": text }] })
}

fn texts(texts: &[&str]) -> Value {
    json!({ "model": EMBEDDING, "input": texts })
}

async fn conversation(system: &System, user: Uuid) -> String {
    let request = CreateThreadRequest {
        user_id: user.to_string(),
        kind: ThreadKind::Assistant.into(),
        ..CreateThreadRequest::default()
    };
    let made = system.threads().create_thread(request).await;
    made.unwrap().into_inner().id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_of_openai_get_is_as_described() {
    let settings = [("gateway.openai.body_bytes", "4096")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let api = Api::of(&system).await;
    answer(&api, &system).await;
    system.stop().await;

    let refusal = json!({ "error": { "message": "no", "type": "invalid_request_error" } });
    let provider = OpenAi::start([Reply::Refusal(400, refusal), Reply::Status(401)]).await;
    let url = provider.url();
    let settings = [
        ("completions.providers.openai.base_url", url.as_str()),
        ("completions.providers.openai.api_key", "test-key"),
        ("gateway.limits.requests_per_minute", "2"),
    ];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let api = api.at(&system);
    refuse(&api, &system).await;
    api.assert_all_seen("openai", &[]);
    system.stop().await;
}

async fn answer(api: &Api, system: &System) {
    let ann = system.add_user("ann", &MODELS, DOLLAR).await;
    let (good, useless) = (
        key(system, ann, &[]).await,
        key(system, ann, &["conversations"]).await,
    );
    let ask = |name: &str| api.ask(&format!("openai_{name}")).bearer(&good);
    ask("list_models").gives(200).await;
    ask("get_model").at("id", MODEL).gives(200).await;
    ask("get_model").at("id", "gpt-4").gives(404).await;

    let chat = |body: Value| ask("complete").json(body);
    chat(question("hello")).gives(200).await;
    let mut streamed = question("hello");
    streamed["stream"] = json!(true);
    let said = chat(streamed).gives(200).await.body;
    assert!(said.as_str().unwrap().ends_with("data: [DONE]\n\n"));
    let thread = conversation(system, ann).await;
    for (text, status) in [("one", 200), ("one", 200), ("two", 409)] {
        let stored = chat(question(text)).header("x-confab-conversation", &thread);
        stored.header("Idempotency-Key", "one").gives(status).await;
    }
    chat(json!({})).gives(400).await;
    let mut unknown = question("hello");
    unknown["model"] = json!("gpt-4");
    chat(unknown).gives(404).await;

    ask("embed").json(texts(&["a", "b"])).gives(200).await;
    let mut bytes = texts(&["a"]);
    bytes["encoding_format"] = json!("base64");
    ask("embed").json(bytes).gives(200).await;
    let one = json!({ "model": EMBEDDING, "input": "a", "dimensions": 384 });
    ask("embed").json(one).gives(200).await;
    ask("embed").json(json!({ "input": [] })).gives(400).await;
    let mut unknown = texts(&["a"]);
    unknown["model"] = json!("gpt-4");
    ask("embed").json(unknown).gives(404).await;

    for name in api.named("openai", is_guarded) {
        let id = MODEL;
        api.ask(&name).anywhere(id).gives(401).await;
        let useless = api.ask(&name).anywhere(id).bearer(&useless);
        useless.gives(403).await;
    }
    for name in api.named("openai", says("413")) {
        let long = api.ask(&name).bearer(&good).json(json!("x".repeat(5000)));
        long.gives(413).await;
    }
}

/// What its provider and limits make of requests.
async fn refuse(api: &Api, system: &System) {
    let ann = system.add_user("ann", &MODELS, DOLLAR).await;
    let ann = key(system, ann, &[]).await;
    for status in [400, 502, 429] {
        let chat = api.ask("openai_complete").bearer(&ann);
        chat.json(question("hello")).gives(status).await;
    }
    for name in api.named("openai", says("429")) {
        let ask = api.ask(&name).anywhere(MODEL).bearer(&ann);
        ask.gives(429).await;
    }
    let poor = system.add_user("poor", &MODELS, 0).await;
    let poor = key(system, poor, &[]).await;
    let chat = api.ask("openai_complete").bearer(&poor);
    chat.json(question("hello")).gives(429).await;
}
