//! Every refusal has its status and the one envelope.

use confab_testkit::conversations::Client;
use confab_testkit::{Shape, System};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status_and_the_one_envelope() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        let conversation = page.conversation(user).await;
        let messages = format!("/conversations/{conversation}/messages");
        let complete = format!("{messages}:complete");
        let nothing = json!({});
        let text = |role: &str, content: &str| json!({ "role": role, "content": content });
        let long = "x".repeat(200 * 1024);
        let huge = "x".repeat(2 * 1024 * 1024);
        let requests: &[(Method, String, Option<Value>, u16, &str)] = &[
            (Method::GET, "/users/nobody".into(), None, 404, "Error"),
            (Method::GET, "/users/99999".into(), None, 404, "Error"),
            (
                Method::GET,
                "/users/x/conversations".into(),
                None,
                400,
                "BadInputError",
            ),
            (
                Method::GET,
                "/users/99999/conversations".into(),
                None,
                404,
                "Error",
            ),
            (
                Method::POST,
                "/users".into(),
                Some(nothing.clone()),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                "/users".into(),
                Some(json!({ "username": "" })),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                "/users".into(),
                Some(json!({ "username": "ann" })),
                409,
                "ConflictError",
            ),
            (
                Method::POST,
                "/register".into(),
                Some(json!({ "username": "ann" })),
                409,
                "ConflictError",
            ),
            (
                Method::DELETE,
                format!("/users/{user}"),
                None,
                405,
                "MethodError",
            ),
            (
                Method::POST,
                "/login".into(),
                Some(json!({ "username": "ann", "password": "wrong" })),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                "/conversations".into(),
                Some(json!({ "title": "x" })),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                "/conversations".into(),
                Some(json!({ "title": "x", "user_id": 99999 })),
                404,
                "Error",
            ),
            (
                Method::GET,
                "/conversations/x/messages".into(),
                None,
                400,
                "BadInputError",
            ),
            (
                Method::GET,
                "/conversations/99999/messages".into(),
                None,
                404,
                "Error",
            ),
            (
                Method::PUT,
                messages.clone(),
                Some(nothing.clone()),
                405,
                "MethodError",
            ),
            (
                Method::POST,
                messages.clone(),
                Some(nothing.clone()),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                messages.clone(),
                Some(text("owner", "x")),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                messages.clone(),
                Some(text("user", "")),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                messages.clone(),
                Some(text("user", &long)),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                messages.clone(),
                Some(text("user", &huge)),
                413,
                "PayloadTooLargeError",
            ),
            (
                Method::POST,
                "/messages".into(),
                Some(text("user", "x")),
                400,
                "BadInputError",
            ),
            (Method::GET, "/messages/99999".into(), None, 404, "Error"),
            (
                Method::DELETE,
                "/messages/x".into(),
                None,
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                complete.clone(),
                Some(json!({ "stream": 1 })),
                400,
                "BadInputError",
            ),
            // Nothing is stored yet that could be answered.
            (
                Method::POST,
                complete.clone(),
                Some(nothing.clone()),
                400,
                "BadInputError",
            ),
            (
                Method::POST,
                "/conversations/99999/messages:complete".into(),
                Some(nothing.clone()),
                404,
                "Error",
            ),
            (
                Method::POST,
                "/search".into(),
                Some(json!({ "user_id": user })),
                400,
                "BadInputError",
            ),
            (
                Method::GET,
                format!("/users/{user}/search?q=x&limit=y"),
                None,
                400,
                "BadInputError",
            ),
        ];
        for (method, path, body, status, kind) in requests {
            let (told, envelope) = page.call(method.clone(), path, body.as_ref()).await;
            assert_eq!(told, *status, "{method} {path}: {envelope}");
            let error = &envelope["error"];
            assert_eq!(error["type"], *kind, "{method} {path}: {envelope}");
            assert_eq!((&error["code"], &error["param"]), (&json!(""), &json!("")));
            assert!(error["message"].is_string());
        }
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
