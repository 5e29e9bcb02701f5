//! Every refusal has its status and the one envelope.

use confab_testkit::conversations::{Client, shown};
use confab_testkit::{Shape, System};
use reqwest::Method;
use serde_json::{Value, json};

use super::id_of;

/// Method and path, body, status, type of the error.
type Row = (String, Value, u16, &'static str);

fn row(request: impl Into<String>, body: Value, status: u16, kind: &'static str) -> Row {
    (request.into(), body, status, kind)
}

fn about_users(user: i64) -> Vec<Row> {
    let nothing = || Value::Null;
    let bad = "BadInputError";
    let ann = json!({ "username": "ann" });
    let wrong = json!({ "username": "ann", "password": "wrong" });
    vec![
        row("GET /users/nobody", nothing(), 404, "Error"),
        row("GET /users/99999", nothing(), 404, "Error"),
        row("GET /users/x/conversations", nothing(), 400, bad),
        row("GET /users/99999/conversations", nothing(), 404, "Error"),
        row("POST /users", json!({}), 400, bad),
        row("POST /users", json!({ "username": "" }), 400, bad),
        row("POST /users", ann.clone(), 409, "ConflictError"),
        row("POST /register", ann, 409, "ConflictError"),
        row(
            format!("DELETE /users/{user}"),
            nothing(),
            405,
            "MethodError",
        ),
        row("POST /login", wrong, 400, bad),
        row("POST /search", json!({ "user_id": user }), 400, bad),
        row(
            format!("GET /users/{user}/search?q=x&limit=y"),
            nothing(),
            400,
            bad,
        ),
    ]
}

fn about_messages(conversation: i64) -> Vec<Row> {
    let bad = "BadInputError";
    let own = format!("/conversations/{conversation}/messages");
    let post = format!("POST {own}");
    let text = |role: &str, content: &str| json!({ "role": role, "content": content });
    let long = text("user", &"x".repeat(200 * 1024));
    let huge = text("user", &"x".repeat(2 * 1024 * 1024));
    let nowhere = "POST /conversations/99999/messages:complete";
    let stranger = json!({ "title": "x", "user_id": 99999 });
    vec![
        row("POST /conversations", json!({ "title": "x" }), 400, bad),
        row("POST /conversations", stranger, 404, "Error"),
        row("GET /conversations/x/messages", Value::Null, 400, bad),
        row(
            "GET /conversations/99999/messages",
            Value::Null,
            404,
            "Error",
        ),
        row(format!("PUT {own}"), json!({}), 405, "MethodError"),
        row(&post, json!({}), 400, bad),
        row(&post, text("owner", "x"), 400, bad),
        row(&post, text("user", ""), 400, bad),
        row(&post, long, 400, bad),
        row(&post, huge, 413, "PayloadTooLargeError"),
        row("POST /messages", text("user", "x"), 400, bad),
        row("GET /messages/99999", Value::Null, 404, "Error"),
        row("DELETE /messages/x", Value::Null, 400, bad),
        row(format!("{post}:complete"), json!({ "stream": 1 }), 400, bad),
        // Nothing is stored yet that could be answered.
        row(format!("{post}:complete"), json!({}), 400, bad),
        row(nowhere, json!({}), 404, "Error"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status_and_the_one_envelope() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        let conversation = page.conversation(user).await;
        let rows = about_users(user).into_iter();
        for (request, body, status, kind) in rows.chain(about_messages(conversation)) {
            let (method, path) = request.split_once(' ').unwrap();
            let body = Some(&body).filter(|body| !body.is_null());
            let (told, envelope) = page.call(method.parse().unwrap(), path, body).await;
            assert_eq!(told, status, "{request}: {envelope}");
            let error = &envelope["error"];
            assert_eq!(error["type"], kind, "{request}: {envelope}");
            assert_eq!((&error["code"], &error["param"]), (&json!(""), &json!("")));
            assert!(error["message"].is_string());
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_nothing_behind_and_the_conversation_goes_on() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        let conversation = page.conversation(user).await;
        let path = format!("/conversations/{conversation}/messages");
        let refused = async |path: &str, body: Value| {
            let (status, envelope) = page.post(path, &body).await;
            assert_eq!(status, 400, "{path}: {envelope}");
            assert_eq!(envelope["error"]["type"], "BadInputError", "{path}");
        };
        for content in ["", "\0", &"x".repeat(128 * 1024 + 1)] {
            let turn = json!({ "role": "user", "content": content });
            refused(&path, turn.clone()).await;
            let brought = json!({ "stream": true, "messages": [turn] });
            refused(&format!("{path}:complete"), brought).await;
        }
        for stream in [true, false] {
            refused(&format!("{path}:complete"), json!({ "stream": stream })).await;
        }
        assert_eq!(page.history(conversation).await, []);
        let account = system.account(id_of(&system, user).await).await;
        assert_eq!(account.reserved_microdollars, 0);

        // The character that not every database can store is left out.
        page.say(conversation, "hel\0lo").await;
        let (answer, whole) = shown(&page.stream(conversation).await.chunks);
        assert!(whole);
        let said = |role: &str, content: &str| (role.to_owned(), content.to_owned());
        let history = [said("user", "hello"), said("assistant", &answer)];
        assert_eq!(page.history(conversation).await, history);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_pay_or_may_not_ask_is_told_before_the_first_word() {
    let settings = [("gateway.conversations.open_deposit_microdollars", "0")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let page = Client::new(system.address());
    let conversation = page.conversation(page.enter("poor").await).await;
    page.say(conversation, "hello").await;
    let (status, body) = page.complete(conversation).await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (402, &json!("PaymentRequiredError"))
    );
    assert_eq!(page.open(conversation, None).await.status(), 402);
    system.stop().await;

    let settings = [("gateway.conversations.model", "gpt-4-32k")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let page = Client::new(system.address());
    let conversation = page.conversation(page.enter("ann").await).await;
    page.say(conversation, "hello").await;
    assert_eq!(page.complete(conversation).await.0, 403);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_elsewhere_may_not_ask_and_those_from_here_may() {
    let system = System::start(Shape::Sqlite).await;
    let http = reqwest::Client::new();
    let url = system.url("/users");
    let refused = http
        .get(&url)
        .header("Origin", "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 403);
    let asked = http
        .request(Method::OPTIONS, &url)
        .header("Origin", "http://localhost:5173")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type")
        .send()
        .await
        .unwrap();
    assert!(asked.status().is_success());
    let allowed = &asked.headers()["access-control-allow-origin"];
    assert_eq!(allowed, "http://localhost:5173");
    let wrong = http.post(&url).body("{\"username\"").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert_eq!(wrong.headers()["content-type"], "application/json");
    let body: Value = wrong.json().await.unwrap();
    assert_eq!(body["error"]["type"], "SyntaxError");
    system.stop().await;
}
