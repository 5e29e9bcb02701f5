//! Conversations with a model over REST.

use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{Shape, System};
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{Api, Ask, says};
use super::{DOLLAR, ELSEWHERE, PASSWORD, TOKEN_MODE, key, token};

/// Somebody at the room.
struct Visitor<'a> {
    api: &'a Api,
    token: String,
}

impl Visitor<'_> {
    fn ask(&self, name: &str) -> Ask<'_> {
        let name = format!("conversations_{name}");
        self.api.ask(&name).bearer(&self.token)
    }

    async fn begin(&self) -> Value {
        let new = json!({ "title": "A conversation" });
        let begun = self.ask("create").json(new).gives(201).await.body;
        begun["id"].clone()
    }

    async fn say(&self, conversation: &Value, text: &str) -> Value {
        let message = json!({ "role": "user", "content": text });
        let said = self.ask("create_message").at("conversation", conversation);
        said.json(message).gives(201).await.body["id"].clone()
    }

    fn complete(&self, conversation: &Value, body: Value) -> Ask<'_> {
        let ask = self.ask("complete").at("conversation", conversation);
        ask.json(body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_conversations_are_as_described() {
    let system = System::start_with(Shape::Sqlite, &[TOKEN_MODE]).await;
    let api = Api::of(&system).await;
    let ann = meet_users(&api).await;
    refuse(&ann).await;
    miss(&ann).await;
    let user = system.add_user("eve", &[4], DOLLAR).await;
    let token = token(&system, user).await;
    let eve = Visitor { api: &api, token };
    let conversation = eve.begin().await;
    let said = eve.say(&conversation, "hello").await;
    let (of_ann, of_eve) = (ann.begin().await, &conversation);
    ann.say(&of_ann, "I have no money").await;
    ann.complete(&of_ann, json!({})).gives(402).await;
    complete(&eve, of_eve).await;
    write(&eve, of_eve).await;
    read(&eve, of_eve, &said).await;
    remove(&eve, of_eve, &said).await;
    guess(&api).await;
    // More answers at once than a test should wait for.
    let apart_from = ["conversations_complete 429"];
    api.assert_all_seen("conversations", &apart_from);
    system.stop().await;
}

/// Makes users, and signs one in.
async fn meet_users(api: &Api) -> Visitor<'_> {
    let ask = |name: &str| api.ask(&format!("conversations_{name}"));
    ask("greet").gives(200).await;
    for (name, username) in [("create_user", "ann"), ("register", "ben")] {
        let body = json!({ "username": username, "password": PASSWORD });
        ask(name).json(body.clone()).gives(201).await;
        ask(name).json(body).gives(409).await;
        let short = json!({ "username": "eve", "password": "short" });
        ask(name).json(short).gives(400).await;
    }
    let wrong = json!({ "username": "ann", "password": "wrong" });
    ask("login").json(wrong).gives(400).await;
    let right = json!({ "username": "ann", "password": PASSWORD });
    let signed_in = ask("login").json(right).gives(200).await.body;
    let ann = Visitor {
        api,
        token: signed_in["token"].as_str().unwrap().to_owned(),
    };
    ann.ask("list_users").gives(200).await;
    ann.ask("get_user").at("user", "ann").gives(200).await;
    ann.ask("get_user").at("user", "ben").gives(404).await;
    ann
}

/// Signs in with wrong passwords until that is enough.
async fn guess(api: &Api) {
    let wrong = json!({ "username": "ben", "password": "wrong" });
    let guess = || api.ask("conversations_login").json(wrong.clone());
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) && statuses.len() < 9 {
        statuses.push(guess().reply().await.status);
    }
    assert_eq!(statuses.pop(), Some(429));
}

/// What any request can be refused for.
async fn refuse(ann: &Visitor<'_>) {
    let api = ann.api;
    for name in api.named("conversations", says("401")) {
        api.ask(&name).anywhere("1").gives(401).await;
    }
    for name in api.named("conversations", says("403")) {
        let elsewhere = api.ask(&name).anywhere("1").bearer(&ann.token);
        elsewhere.on_page(ELSEWHERE).gives(403).await;
    }
    for name in api.named("conversations", says("400")) {
        let wrong = api.ask(&name).anywhere("x").bearer(&ann.token);
        wrong.json(json!({})).gives(400).await;
    }
    for name in api.named("conversations", says("413")) {
        let long = api.ask(&name).anywhere("1").bearer(&ann.token);
        let long = long.json(json!("x".repeat(2 << 20)));
        long.gives(413).await;
    }
}

/// Names what there is not.
async fn miss(ann: &Visitor<'_>) {
    let turn = json!({ "role": "user", "content": "hello", "conversation_id": 99_999 });
    for (name, body) in [
        ("create", json!({ "title": "x", "user_id": 99_999 })),
        ("create_message", turn.clone()),
        ("create_message_anywhere", turn),
        ("complete", json!({})),
        ("update", json!({ "title": "x" })),
        ("get_message", Value::Null),
        ("delete_message", Value::Null),
        ("list_of_user", Value::Null),
        ("search", json!({ "query": "hello", "user_id": 99_999 })),
        ("search_of_user", Value::Null),
    ] {
        let ask = ann.ask(name).anywhere("99999").json(body);
        ask.gives(404).await;
    }
}

/// Has questions answered, and looks at how.
async fn complete(ann: &Visitor<'_>, conversation: &Value) {
    ann.complete(conversation, json!({})).gives(200).await;
    for (content, status) in [("More!", 200), ("Something else!", 409)] {
        let turns = json!({ "messages": [{ "role": "user", "content": content }] });
        let answer = ann.complete(conversation, turns);
        answer.header("Idempotency-Key", "a").gives(status).await;
    }
    ann.say(conversation, "and again").await;
    let wrong = ann.complete(conversation, json!({ "stream": 1 }));
    wrong.gives(400).await;
    let answer = ann.complete(conversation, json!({ "stream": true }));
    let answer = answer.gives(200).await;
    let run = answer.headers["x-run-id"].to_str().unwrap();
    for name in ["get_run", "follow_run", "cancel_run"] {
        let ask = ann.ask(name).at("conversation", conversation);
        ask.at("run", run).gives(200).await;
        let other = ann.ask(name).at("conversation", conversation);
        other.at("run", &Uuid::now_v7()).gives(404).await;
        ann.ask(name).anywhere("x").gives(400).await;
    }
    let middle = ann.ask("follow_run").at("conversation", conversation);
    let middle = middle.at("run", run).query("offset", &0);
    middle.header("Last-Event-ID", "2").gives(200).await;
}

/// Says something with a key.
async fn write(ann: &Visitor<'_>, conversation: &Value) {
    let anywhere =
        json!({ "role": "system", "content": "Be brief.", "conversation_id": conversation });
    let again = || ann.ask("create_message_anywhere");
    for _ in 0..2 {
        let again = again().header("Idempotency-Key", "one");
        again.json(anywhere.clone()).gives(201).await;
    }
    let other = json!({ "role": "user", "content": "other", "conversation_id": conversation });
    let elsewhere = again().header("Idempotency-Key", "one");
    elsewhere.json(other.clone()).gives(409).await;
    let here = ann.ask("create_message").at("conversation", conversation);
    let here = here.header("Idempotency-Key", "one");
    here.json(other).gives(409).await;
}

/// Lists and searches.
async fn read(ann: &Visitor<'_>, conversation: &Value, said: &Value) {
    let number = ann.ask("list_users").gives(200).await.body[0]["id"].clone();
    ann.ask("list").gives(200).await;
    ann.ask("list_of_user").at("user", &number).gives(200).await;
    ann.ask("list_all_messages").gives(200).await;
    let of_this = |name: &str| ann.ask(name).at("conversation", conversation);
    of_this("list_messages").gives(200).await;
    of_this("get").gives(200).await;
    let title = json!({ "title": "Renamed" });
    of_this("update").json(title).gives(200).await;
    ann.ask("get_message").at("message", said).gives(200).await;

    let query = json!({ "query": "hello", "limit": 2 });
    let found = ann.ask("search").json(query).gives(200).await.body;
    assert!(found[0].is_object(), "something is found");
    let of_user = ann.ask("search_of_user").at("user", &number);
    let of_user = of_user.query("q", "hello").query("limit", &1);
    of_user
        .query("conversation_id", conversation)
        .gives(200)
        .await;
}

/// Removes what there was.
async fn remove(ann: &Visitor<'_>, conversation: &Value, said: &Value) {
    let of_this = |name: &str| ann.ask(name).at("conversation", conversation);
    let deleted = ann.ask("delete_message").at("message", said);
    deleted.gives(204).await;
    ann.ask("get_message").at("message", said).gives(404).await;
    of_this("delete").gives(204).await;
    for name in ["get", "delete", "list_messages"] {
        of_this(name).gives(404).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_fail_are_as_described() {
    let provider =
        OpenAi::start([Reply::Text(vec!["Hello"], 10, 2), Reply::Cut(vec!["Hel"])]).await;
    let url = provider.url();
    let settings = [
        TOKEN_MODE,
        ("completions.providers.openai.base_url", url.as_str()),
        ("completions.providers.openai.api_key", "test-key"),
    ];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let api = Api::of(&system).await;
    let user = system.add_user("ann", &[4], DOLLAR).await;
    let token = key(&system, user, &["conversations"]).await;
    let ann = Visitor { api: &api, token };
    let conversation = ann.begin().await;
    ann.say(&conversation, "hello").await;
    for status in [200, 502] {
        ann.complete(&conversation, json!({})).gives(status).await;
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_needs_no_credential_is_answered_as_described() {
    let system = System::start(Shape::Sqlite).await;
    let api = Api::of(&system).await;
    let ask = |name: &str| api.ask(&format!("conversations_{name}"));
    let ann = json!({ "username": "ann" });
    let ann = ask("create_user").json(ann).gives(201).await.body;
    let new = json!({ "title": "A conversation", "user_id": ann["id"] });
    ask("create").json(new).gives(201).await;
    for name in ["list_users", "list", "list_all_messages"] {
        ask(name).gives(200).await;
    }
    system.stop().await;
}
