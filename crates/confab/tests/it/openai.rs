//! The API that OpenAI's clients speak: who may ask, what is passed on, what it costs, what is stored.

use confab_rpc::sessions::{CreateApiKeyRequest, CreatedApiKey, RevokeApiKeyRequest};
use confab_rpc::threads::{
    AuthorKind, CreateThreadRequest, ListMessagesRequest, Message, MessageState, Thread, ThreadKind,
};
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{OpenAiClient, Rest, Shape, System, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

const MODEL: &str = "gpt-4-turbo";
const EMBEDDING: &str = "confab-hash-384";
/// Ids of the two.
const MODELS: [i32; 2] = [4, 10];
const DOLLAR: i64 = 1_000_000;
const CHAT: &str = "/chat/completions";

async fn with_provider(shape: Shape, provider: &OpenAi) -> System {
    let url = provider.url();
    let settings = [
        ("completions.providers.openai.base_url", url.as_str()),
        ("completions.providers.openai.api_key", "test-key"),
    ];
    System::start_with(shape, &settings).await
}

/// Makes a key; without scopes and models it is good for everything.
async fn key(system: &System, user: Uuid, scopes: &[&str], models: &[i32]) -> CreatedApiKey {
    let request = CreateApiKeyRequest {
        user_id: user.to_string(),
        name: "test".to_owned(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        models: models.to_vec(),
        ..CreateApiKeyRequest::default()
    };
    let made = system.sessions().create_api_key(request).await;
    made.unwrap().into_inner()
}

/// Somebody with a dollar, and a key that is good for everything.
async fn somebody(system: &System) -> (Uuid, OpenAiClient) {
    let name = Uuid::now_v7().to_string();
    let user = system.add_user(&name, &MODELS, DOLLAR).await;
    let key = key(system, user, &[], &[]).await;
    (user, OpenAiClient::new(system.address(), &key.secret))
}

fn question(text: &str) -> Value {
    json!({ "model": MODEL, "messages": [{ "role": "user", "content": text }] })
}

fn with(mut body: Value, more: &Value) -> Value {
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_are_those_that_the_key_may_ask() {
    let system = System::start(Shape::Sqlite).await;
    let (user, client) = somebody(&system).await;
    let names = |body: &Value| -> Vec<String> {
        let models = body["data"].as_array().unwrap().iter();
        models
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for path in ["/models", "/models/"] {
        let listed = client.get(path).await;
        assert_eq!(listed.status, 200);
        assert_eq!(names(&listed.body), [MODEL, EMBEDDING]);
        assert!(listed.headers.contains_key("x-request-id"));
        assert!(listed.headers.contains_key("openai-processing-ms"));
        assert_eq!(listed.headers["x-ratelimit-limit-requests"], "600");
    }
    assert_eq!(client.get("/models/gpt-4-turbo/").await.body["id"], MODEL);

    let narrow = key(&system, user, &["models"], &[10]).await;
    let narrow = OpenAiClient::new(system.address(), &narrow.secret);
    assert_eq!(names(&narrow.get("/models").await.body), [EMBEDDING]);
    for (client, model) in [(&narrow, MODEL), (&client, "gpt-4"), (&client, "a/b")] {
        let unknown = client.get(&format!("/models/{model}")).await;
        assert_eq!(unknown.status, 404);
        assert_eq!(unknown.body["error"]["code"], "model_not_found");
        let text = format!("The model `{model}` does not exist or you do not have access to it.");
        assert_eq!(unknown.body["error"]["message"], text);
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_for_its_scopes_until_it_is_revoked_and_nowhere_else() {
    for mode in ["open", "token"] {
        let settings = [("gateway.auth.mode", mode)];
        let system = System::start_with(Shape::Sqlite, &settings).await;
        let (user, _) = somebody(&system).await;
        let made = key(&system, user, &["models"], &[]).await;
        let client = OpenAiClient::new(system.address(), &made.secret);
        assert_eq!(client.get("/models").await.status, 200);
        for (path, body) in [
            (CHAT, question("hello")),
            ("/embeddings", json!({ "model": EMBEDDING, "input": "a" })),
        ] {
            let refused = client.post(path, &body).await;
            assert_eq!(refused.status, 403, "{path}");
            assert_eq!(refused.body["error"]["code"], "missing_scope");
        }
        let rest = Rest::with_token(system.address(), &made.secret);
        assert_eq!(rest.get("/auth/me").await.0, 401);

        let request = RevokeApiKeyRequest {
            user_id: user.to_string(),
            key_id: made.key.unwrap().id,
        };
        system.sessions().revoke_api_key(request).await.unwrap();
        // The gateway was not asked to, and believes what it was told a moment ago.
        eventually("the key is refused", async || {
            let listed = client.get("/models").await;
            (listed.status == 401).then_some(())
        })
        .await;
        for client in [client, OpenAiClient::new(system.address(), "sk-none")] {
            let refused = client.get("/models").await;
            assert_eq!(refused.status, 401);
            assert_eq!(refused.body["error"]["code"], "invalid_api_key");
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_reaches_the_provider_as_it_is_and_comes_back_as_it_is() {
    for shape in Shape::ENDS {
        let provider = OpenAi::start([Reply::Text(vec!["Sal", "ut ☀"], 20, 50)]).await;
        let system = with_provider(shape, &provider).await;
        let (user, client) = somebody(&system).await;
        let more = json!({
            "stream": true, "temperature": 0.25, "metadata": { "topic": "greetings" },
            "tools": [{ "type": "function", "function": { "name": "wave", "parameters": {} } }],
        });
        let events = client.events(CHAT, &with(question("Hi"), &more), &[]).await;
        assert_eq!(events.last().unwrap(), "[DONE]");
        let chunks = events[..events.len() - 1].iter();
        let chunks: Vec<Value> = chunks.map(|it| serde_json::from_str(it).unwrap()).collect();
        let texts = chunks
            .iter()
            .filter_map(|it| it["choices"][0]["delta"]["content"].as_str());
        assert_eq!(texts.collect::<Vec<_>>(), ["Sal", "ut ☀"]);
        // Nobody asked what it took.
        assert!(
            chunks
                .iter()
                .all(|it| it.get("usage").is_none_or(Value::is_null))
        );

        let sent = &provider.requests()[0];
        assert_eq!(sent["temperature"], 0.25);
        assert_eq!(sent["tools"], more["tools"]);
        // It is paid for when the last event is there: 20 in at 0.01, 50 out at 0.03 dollars per thousand.
        let account = system.account(user).await;
        assert_eq!(account.balance_microdollars, DOLLAR - 1_700);
        assert_eq!(account.reserved_microdollars, 0);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_whole_and_vectors_in_both_formats() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let (_, client) = somebody(&system).await;
        let answer = client.post(CHAT, &question("hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["object"], "chat.completion");
        assert_eq!(answer.body["model"], MODEL);
        assert!(answer.body["usage"]["total_tokens"].as_u64().unwrap() > 0);

        let wanted = json!({ "model": EMBEDDING, "input": ["a cat", "a dog"] });
        let numbers = client.post("/embeddings", &wanted).await;
        assert_eq!(numbers.status, 200, "{}", numbers.body);
        let vectors = numbers.body["data"].as_array().unwrap();
        assert_eq!(vectors.len(), 2);
        assert_eq!(vectors[1]["embedding"].as_array().unwrap().len(), 384);
        let wanted = with(wanted, &json!({ "encoding_format": "base64" }));
        let bytes = client.post("/embeddings/", &wanted).await;
        let text = bytes.body["data"][0]["embedding"].as_str().unwrap();
        assert_eq!(text.len(), 384 * 4 * 4 / 3);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_has_openais_shape() {
    let settings = [("gateway.openai.body_bytes", "4096")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let (_, client) = somebody(&system).await;
    let tokens = json!({ "model": EMBEDDING, "input": [[1, 2]] });
    for (path, body, status, param) in [
        (CHAT, json!({ "messages": [] }), 400, json!("model")),
        (
            CHAT,
            with(question("x"), &json!({ "model": "gpt-4" })),
            404,
            json!("model"),
        ),
        (CHAT, question(&"x".repeat(5000)), 413, json!(null)),
        (CHAT, json!([]), 400, json!(null)),
        ("/embeddings", tokens, 400, json!("input")),
        (
            "/embeddings",
            json!({ "model": "gpt-4", "input": "a" }),
            404,
            json!("model"),
        ),
        ("/images", json!({}), 404, json!(null)),
        ("/models", json!({}), 405, json!(null)),
    ] {
        let refused = client.post(path, &body).await;
        assert_eq!(refused.status, status, "{path} {}", refused.body);
        assert_eq!(refused.body["error"]["param"], param, "{path}");
        assert_eq!(refused.body["error"]["type"], "invalid_request_error");
    }
    let poor = system.add_user("poor", &MODELS, 0).await;
    let poor = key(&system, poor, &[], &[]).await;
    let poor = OpenAiClient::new(system.address(), &poor.secret);
    let refused = poor.post(CHAT, &question("hello")).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.body["error"]["code"], "insufficient_quota");
    assert_eq!(refused.headers["x-should-retry"], "false");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_finds_wrong_is_told_and_costs_nothing() {
    let provider = OpenAi::start([Reply::Status(400)]).await;
    let system = with_provider(Shape::Sqlite, &provider).await;
    let (user, client) = somebody(&system).await;
    let body = with(question("hello"), &json!({ "stream": true }));
    let refused = client.post(CHAT, &body).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(system.account(user).await.balance_microdollars, DOLLAR);
    system.stop().await;

    let provider = OpenAi::start([Reply::Cut(vec!["Once "])]).await;
    let system = with_provider(Shape::Sqlite, &provider).await;
    let (_, client) = somebody(&system).await;
    let events = client.events(CHAT, &body, &[]).await;
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["error"]["type"], "server_error", "{events:?}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_asks_too_often_is_told_when_to_come_back() {
    for shape in Shape::ENDS {
        let settings = [
            ("gateway.limits.requests_per_minute", "2"),
            ("gateway.limits.tokens_per_minute", "100000"),
        ];
        let system = System::start_with(shape, &settings).await;
        let (user, client) = somebody(&system).await;
        for remaining in ["1", "0"] {
            let listed = client.get("/models").await;
            let left = &listed.headers["x-ratelimit-remaining-requests"];
            assert_eq!((listed.status, left.to_str().unwrap()), (200, remaining));
        }
        let refused = client.get("/models").await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.body["error"]["code"], "rate_limit_exceeded");
        assert!(refused.headers.contains_key("retry-after"));
        assert!(!refused.headers.contains_key("x-should-retry"));

        // Another key has a count of its own; the tokens of an answer are counted when it is over.
        let other = key(&system, user, &[], &[]).await;
        let other = OpenAiClient::new(system.address(), &other.secret);
        assert_eq!(other.post(CHAT, &question("hello")).await.status, 200);
        let listed = other.get("/models").await;
        let left = &listed.headers["x-ratelimit-remaining-tokens"];
        assert!(left.to_str().unwrap().parse::<u64>().unwrap() <= 100_000);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_the_answer_and_pays_for_what_there_was() {
    for shape in Shape::ENDS {
        let settings = [("completions.providers.scripted.behaviour", "slow")];
        let system = System::start_with(shape, &settings).await;
        let (user, client) = somebody(&system).await;
        let long = "word ".repeat(2000);
        let body = with(question(&long), &json!({ "stream": true }));
        let mut response = client.open(CHAT, &body, &[]).await;
        assert_eq!(response.status(), 200);
        response.chunk().await.unwrap().unwrap();
        drop(response);
        // It would go on for minutes.
        let paid = eventually("the answer is settled", async || {
            let account = system.account(user).await;
            let settled = account.reserved_microdollars == 0;
            (settled && account.balance_microdollars < DOLLAR)
                .then_some(DOLLAR - account.balance_microdollars)
        })
        .await;
        // The question is 2000 words at 10 microdollars each, the whole answer would be as many at 30.
        assert!(paid < 50_000, "{paid}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_whole_answer_may_go_away_as_well() {
    for shape in Shape::ENDS {
        let settings = [("completions.providers.scripted.behaviour", "slow")];
        let system = System::start_with(shape, &settings).await;
        let (user, client) = somebody(&system).await;
        let long = question(&"word ".repeat(2000));
        let asked = eventually("it is being answered", async || {
            let account = system.account(user).await;
            (account.reserved_microdollars > 0).then_some(())
        });
        tokio::select! {
            answer = client.post(CHAT, &long) => panic!("it takes minutes: {}", answer.status),
            () = asked => {}
        }
        eventually("nothing is reserved any more", async || {
            let account = system.account(user).await;
            (account.reserved_microdollars == 0).then_some(())
        })
        .await;
        let paid = DOLLAR - system.account(user).await.balance_microdollars;
        assert!(paid < 50_000, "{paid}");
        system.stop().await;
    }
}

async fn thread(system: &System, user: Uuid) -> Thread {
    let request = CreateThreadRequest {
        user_id: user.to_string(),
        kind: ThreadKind::Assistant.into(),
        title: "A stored one".to_owned(),
        ..CreateThreadRequest::default()
    };
    let made = system.threads().create_thread(request).await;
    made.unwrap().into_inner()
}

async fn messages(system: &System, user: Uuid, thread: &str) -> Vec<Message> {
    let request = ListMessagesRequest {
        user_id: user.to_string(),
        thread_id: thread.to_owned(),
        ..ListMessagesRequest::default()
    };
    let listed = system.threads().list_messages(request).await;
    listed.unwrap().into_inner().messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_conversation_remembers_and_answers_in_the_same_shape() {
    for shape in Shape::ENDS {
        let provider = OpenAi::start([Reply::Text(vec!["Sal", "ut"], 20, 50)]).await;
        let system = with_provider(shape, &provider).await;
        let (user, client) = somebody(&system).await;
        let thread = thread(&system, user).await;
        let body = json!({
            "model": MODEL, "stream": true, "stream_options": { "include_usage": true },
            "temperature": 0.25, "metadata": { "conversation_id": thread.number },
            "messages": [
                { "role": "system", "content": "In French." },
                { "role": "user", "content": "One?" },
                { "role": "assistant", "content": "Un." },
                { "role": "user", "content": "Hello?" },
            ],
        });
        let key = [("Idempotency-Key", "first")];
        let events = client.events(CHAT, &body, &key).await;
        assert_eq!(events.last().unwrap(), "[DONE]", "{events:?}");
        let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
        assert_eq!(usage["usage"]["total_tokens"], 70);

        let stored = messages(&system, user, &thread.id).await;
        let said: Vec<_> = stored
            .iter()
            .map(|it| (it.author_kind(), it.content.as_str()))
            .collect();
        let expected = [
            (AuthorKind::Person, "One?"),
            (AuthorKind::Model, "Un."),
            (AuthorKind::Person, "Hello?"),
            (AuthorKind::Model, "Salut"),
        ];
        assert_eq!(said, expected);
        let sent = &provider.requests()[0];
        assert_eq!(sent["temperature"], 0.25);
        assert!(sent["messages"].to_string().contains("In French."));

        // The same again is the same answer, and is not paid twice.
        let whole = with(body, &json!({ "stream": false }));
        let again = client.post_with(CHAT, &whole, &key).await;
        assert_eq!(again.status, 200, "{}", again.body);
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(again.body["choices"][0]["message"]["content"], "Salut");
        assert_eq!(messages(&system, user, &thread.id).await.len(), 4);
        assert_eq!(
            system.account(user).await.balance_microdollars,
            DOLLAR - 1_700
        );

        let headers = [("x-confab-conversation", thread.id.as_str()), key[0]];
        let reused = client.post_with(CHAT, &question("Other"), &headers).await;
        assert_eq!(reused.status, 409, "{}", reused.body);
        let next = client
            .post_with(CHAT, &question("Next"), &headers[..1])
            .await;
        assert_eq!(next.body["choices"][0]["message"]["content"], "Hello.");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_of_somebody_else_is_none() {
    let system = System::start(Shape::Sqlite).await;
    let (user, client) = somebody(&system).await;
    let (_, other) = somebody(&system).await;
    let thread = thread(&system, user).await;
    let number = thread.number.to_string();
    for (client, name) in [
        (&other, thread.id.as_str()),
        (&other, number.as_str()),
        (&client, "987654"),
        (&client, "0"),
        (&client, "nonsense"),
    ] {
        let headers = [("x-confab-conversation", name)];
        let refused = client.post_with(CHAT, &question("hello"), &headers).await;
        assert_eq!(refused.status, 404, "{}", refused.body);
        assert_eq!(refused.body["error"]["code"], "conversation_not_found");
    }
    let chat_only = key(&system, user, &["chat"], &[]).await;
    let chat_only = OpenAiClient::new(system.address(), &chat_only.secret);
    let headers = [("x-confab-conversation", thread.id.as_str())];
    let refused = chat_only
        .post_with(CHAT, &question("hello"), &headers)
        .await;
    assert_eq!(refused.status, 403);
    let tools = with(
        question("hello"),
        &json!({ "tools": [{ "type": "function" }] }),
    );
    let refused = client.post_with(CHAT, &tools, &headers).await;
    assert_eq!(
        (refused.status, &refused.body["error"]["param"]),
        (400, &json!("tools"))
    );
    assert!(messages(&system, user, &thread.id).await.is_empty());
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_answer_is_written_to_its_end_without_its_listener() {
    let settings = [("completions.providers.scripted.behaviour", "slow")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let (user, client) = somebody(&system).await;
    let thread = thread(&system, user).await;
    let body = with(
        question("one two three four five"),
        &json!({ "stream": true }),
    );
    let headers = [("x-confab-conversation", thread.id.as_str())];
    let mut response = client.open(CHAT, &body, &headers).await;
    response.chunk().await.unwrap().unwrap();
    drop(response);
    eventually("the answer is whole", async || {
        let stored = messages(&system, user, &thread.id).await;
        (stored[1].state() == MessageState::Complete).then_some(())
    })
    .await;
    system.stop().await;
}
