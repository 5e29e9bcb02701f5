//! Models behind an OpenAI-compatible server: what is sent, what is paid, what is remembered.

use confab_testkit::assistant::Client;
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{Shape, System, eventually};
use serde_json::{Value, json};

const MODEL: &str = "gpt-4-turbo";
const DOLLAR: i64 = 1_000_000;

async fn system_on(shape: Shape, provider: &OpenAi, more: &[(&str, &str)]) -> System {
    let url = provider.url();
    let mut settings = vec![
        ("completions.providers.openai.base_url", url.as_str()),
        ("completions.providers.openai.api_key", "test-key"),
    ];
    settings.extend_from_slice(more);
    System::start_with(shape, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_stored_and_paid_by_what_the_provider_counted() {
    for shape in Shape::ALL {
        let provider = OpenAi::start([Reply::Text(vec!["Sal", "ut ", "☀"], 20, 50)]).await;
        let system = system_on(shape, &provider, &[]).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        let request = json!({
            "user_id": user, "session_id": "NEW", "model_name": MODEL, "message": "Bonjour",
            "session_prompt": "Answer in French.", "file_name": "",
        });
        let reply = client.call(3, request).await;
        assert_eq!(reply["data"]["message"], "Salut ☀");
        // 20 tokens in at 0.01 and 50 out at 0.03 dollars per thousand.
        assert_eq!(
            system.account(user).await.balance_microdollars,
            DOLLAR - 1_700
        );
        let body = &provider.requests()[0];
        assert_eq!(body["model"], MODEL);
        assert_eq!(
            body["messages"][0],
            json!({ "role": "system", "content": "Answer in French." })
        );
        assert_eq!(
            body["messages"][1],
            json!({ "role": "user", "content": "Bonjour" })
        );
        assert_eq!(provider.keys(), ["Bearer test-key"]);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_stumbles_is_tried_again_and_one_that_fails_costs_nothing() {
    let stumbling = OpenAi::start([Reply::Status(503), Reply::Status(429)]).await;
    let system = system_on(Shape::Sqlite, &stumbling, &[]).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let mut client = Client::connect(system.address()).await;
    let reply = client.ask(user, "NEW", MODEL, "hello").await;
    assert_eq!(reply["data"]["message"], "Hello.");
    assert_eq!(stumbling.requests().len(), 3);
    system.stop().await;

    let failing = OpenAi::start([Reply::Status(401)]).await;
    let system = system_on(Shape::Sqlite, &failing, &[]).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let mut client = Client::connect(system.address()).await;
    let reply = client.ask(user, "NEW", MODEL, "hello").await;
    assert_eq!(
        reply,
        json!({ "error": "Unable to Receive Response To Query" })
    );
    assert_eq!(system.account(user).await.balance_microdollars, DOLLAR);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_keeps_its_text_and_costs_what_was_used() {
    for shape in Shape::ALL {
        let provider = OpenAi::start([Reply::Cut(vec!["Once upon ", "a time"])]).await;
        let system = system_on(shape, &provider, &[]).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        let reply = client.ask(user, "NEW", MODEL, "A story").await;
        assert_eq!(
            reply,
            json!({ "error": "Unable to Receive Response To Query" })
        );
        let sessions = client.call(1, json!({ "user_id": user })).await;
        let session = sessions["data"]["session_info"][0]["session_id"]
            .as_str()
            .unwrap();
        let history = client.history(user, session).await;
        assert_eq!(history[1].1, "Once upon a time");
        let account = system.account(user).await;
        assert!(account.balance_microdollars < DOLLAR);
        assert_eq!(account.reserved_microdollars, 0);
        // The session goes on.
        let reply = client.ask(user, session, MODEL, "Go on").await;
        assert_eq!(reply["data"]["message"], "Hello.");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_window_reaches_the_model_as_a_summary() {
    for shape in Shape::ALL {
        let provider = OpenAi::start([
            Reply::Text(vec!["one"], 1, 1),
            Reply::Text(vec!["two"], 1, 1),
            Reply::Text(vec!["They counted to one."], 30, 100),
        ])
        .await;
        let system = system_on(shape, &provider, &[("completions.history_entries", "2")]).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        let reply = client.ask(user, "NEW", MODEL, "first").await;
        let session = reply["data"]["session_id"].as_str().unwrap().to_owned();
        client.ask(user, &session, MODEL, "second").await;
        // The summary is written off the request path; it is there once it has been paid.
        let paid = DOLLAR - 2 * 40 - (30 * 10 + 100 * 30);
        eventually("the summary is paid", async || {
            let account = system.account(user).await;
            (account.balance_microdollars == paid).then_some(())
        })
        .await;
        let summary = stored_summary(&system, user, &session).await;
        assert_eq!(summary, "They counted to one.");

        client.ask(user, &session, MODEL, "third").await;
        let requests = provider.requests();
        let asked = requests
            .iter()
            .rfind(|body| question(body) == "third")
            .unwrap();
        let messages = asked["messages"].as_array().unwrap();
        let texts: Vec<&str> = messages
            .iter()
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        assert!(texts[0].contains("They counted to one."), "{texts:?}");
        assert_eq!(texts[1..], ["second", "two", "third"]);
        system.stop().await;
    }
}

fn question(body: &Value) -> &str {
    let messages = body["messages"].as_array().unwrap();
    messages.last().unwrap()["content"].as_str().unwrap()
}

/// The summary, once it has been stored.
async fn stored_summary(system: &System, user: uuid::Uuid, session: &str) -> String {
    let request = confab_rpc::threads::GetThreadRequest {
        user_id: user.to_string(),
        thread_id: session.to_owned(),
        ..confab_rpc::threads::GetThreadRequest::default()
    };
    eventually("the summary is stored", async || {
        let thread = system.threads().get_thread(request.clone()).await;
        let summary = thread.unwrap().into_inner().summary;
        (!summary.is_empty()).then_some(summary)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_ask_at_once_never_overdraw() {
    for shape in Shape::ALL {
        // Each answer costs 0.03 dollars; 0.10 pays for three, and for what is left of a fourth.
        let provider = OpenAi::start((0..8).map(|_| Reply::Text(vec!["word"], 0, 1000))).await;
        let system = system_on(shape, &provider, &[]).await;
        let user = system.add_user("Test User", &[4], 100_000).await;
        let asks = (0..8).map(|_| async {
            let mut client = Client::connect(system.address()).await;
            client.ask(user, "NEW", MODEL, "hello").await
        });
        let replies = futures_util::future::join_all(asks).await;
        for reply in &replies {
            let refused = *reply == json!({ "error": "Insufficient balance" });
            assert!(refused || reply["data"]["message"] == "word", "{reply}");
        }
        let account = system.account(user).await;
        assert!(account.balance_microdollars >= 0, "{account:?}");
        assert_eq!(account.reserved_microdollars, 0);
        let answered = replies
            .iter()
            .filter(|reply| reply["data"].is_object())
            .count();
        assert_eq!(
            system.ledger(user).await.len(),
            1 + answered,
            "one charge each"
        );
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_mirrored_for_a_sync_worker() {
    let redis = redis_url();
    let stream = format!("CHAT_STREAM_{}", uuid::Uuid::now_v7().simple());
    let provider = OpenAi::start([Reply::Text(vec!["Hi."], 20, 50)]).await;
    let settings = [
        ("gateway.assistant.mirror", "redis-stream"),
        ("gateway.assistant.mirror_stream", stream.as_str()),
        ("cache.url", redis.as_str()),
    ];
    let system = system_on(Shape::Sqlite, &provider, &settings).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let mut client = Client::connect(system.address()).await;
    let reply = client.ask(user, "NEW", MODEL, "Hello there").await;
    let session = reply["data"]["session_id"].as_str().unwrap();
    client.ask(user, session, MODEL, "Again").await;

    let cache = confab_cache::Cache::open(&confab_cache::Settings {
        url: redis.into(),
        timeout_ms: 5000,
    })
    .unwrap();
    let entries = eventually("both entries are there", async || {
        let entries = cache.entries(&stream, 10).await.unwrap();
        (entries.len() == 2).then_some(entries)
    })
    .await;
    let field = |entry: usize, name: &str| {
        let fields: &Vec<(String, String)> = &entries[entry];
        assert_eq!(fields.len(), 9, "{fields:?}");
        fields
            .iter()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(field(0, "userId"), user.to_string());
    assert_eq!(field(0, "sessionId"), session);
    assert_eq!(field(0, "modelId"), "4");
    assert_eq!(field(0, "sessionName"), "Hello there");
    assert_eq!(
        (field(0, "isNew"), field(1, "isNew")),
        ("new".to_owned(), "old".to_owned())
    );
    assert_eq!(field(0, "balance"), "0.998300");
    let chats: Value = serde_json::from_str(&field(0, "chats")).unwrap();
    assert_eq!(
        chats,
        json!([{ "role": "user", "content": "Hello there" }, { "role": "assistant", "content": "Hi." }])
    );
    system.stop().await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings to be given"
)]
fn redis_url() -> String {
    std::env::var("CONFAB_TEST_REDIS")
        .expect("scripts/test starts a Redis and names it in CONFAB_TEST_REDIS")
}
