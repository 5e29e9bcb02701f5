//! Plain HTTP: health, headers, uploads and downloads.

use std::time::Duration;

use confab_gateway::AuthMode;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep, timeout};

use crate::front::{Front, settings};

const PAGE: &str = "http://localhost:3000";

async fn get(front: &Front, path: &str) -> Response {
    Client::new().get(front.url(path)).send().await.unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let name: HeaderName = name.parse().unwrap();
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

async fn text(response: Response) -> (StatusCode, String) {
    (response.status(), response.text().await.unwrap())
}

async fn json(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_what_there_is_not() {
    let front = Front::open();
    assert_eq!(get(&front, "/livez").await.status(), StatusCode::OK);
    assert_eq!(get(&front, "/readyz").await.status(), StatusCode::OK);
    let (status, body) = json(get(&front, "/nowhere").await).await;
    assert_eq!(
        (status, body),
        (StatusCode::NOT_FOUND, json!({"error": "not found"}))
    );
    let keys = get(&front, "/.well-known/jwks.json").await;
    assert_eq!(header(keys.headers(), "retry-after"), "2");
    assert_eq!(keys.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(front.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reaches_no_conversation_is_alive_and_not_ready() {
    let front = Front::open();
    let mut period = interval(Duration::from_millis(50));
    let told = timeout(Duration::from_secs(30), async {
        loop {
            period.tick().await;
            let (status, body) = json(get(&front, "/readyz").await).await;
            if status != StatusCode::OK {
                return (status, body);
            }
        }
    });
    let reason = "the conversations cannot be reached";
    let away = json!({ "status": "away", "reason": reason });
    assert_eq!(told.await, Ok((StatusCode::SERVICE_UNAVAILABLE, away)));
    assert_eq!(get(&front, "/livez").await.status(), StatusCode::OK);
    assert!(front.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_browsers_to_be_careful() {
    let front = Front::open();
    for path in [
        "/livez",
        "/nowhere",
        "/ws",
        "/upload",
        "/uploads/x",
        "/.well-known/jwks.json",
    ] {
        let response = get(&front, path).await;
        let headers = response.headers();
        assert_eq!(
            header(headers, "x-content-type-options"),
            "nosniff",
            "{path}"
        );
        assert_eq!(header(headers, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(headers, "cache-control"), "no-store", "{path}");
        assert!(header(headers, "content-security-policy").contains("default-src 'none'"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_wants_an_upgrade() {
    let front = Front::open();
    for path in ["/ws", "/ws/", "/ws/anything?x=1"] {
        let response = get(&front, path).await;
        assert!(header(response.headers(), "content-type").starts_with("text/plain"));
        let expected = (StatusCode::UPGRADE_REQUIRED, "Upgrade Required".to_owned());
        assert_eq!(text(response).await, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_posted() {
    let front = Front::open();
    let response = get(&front, "/upload").await;
    assert!(header(response.headers(), "content-type").starts_with("text/plain"));
    assert!(header(response.headers(), "allow").contains("POST"));
    let expected = (
        StatusCode::METHOD_NOT_ALLOWED,
        "Method Not Allowed".to_owned(),
    );
    assert_eq!(text(response).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_ask_before_they_upload() {
    let front = Front::open();
    let ask = |origin: &'static str| {
        let request = Client::new().request(Method::OPTIONS, front.url("/upload"));
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            );
        async { request.send().await.unwrap() }
    };
    let allowed = ask(PAGE).await;
    assert_eq!(allowed.status(), StatusCode::OK);
    let headers = allowed.headers();
    assert_eq!(header(headers, "access-control-allow-origin"), PAGE);
    let methods = header(headers, "access-control-allow-methods");
    for method in ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert!(methods.contains(method), "{methods}");
    }
    let refused = ask("http://evil.example").await;
    assert_eq!(header(refused.headers(), "access-control-allow-origin"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_may_read_when_any_page_may_connect() {
    let front = Front::start(settings(AuthMode::Token, &["*"]));
    let request = Client::new().get(front.url("/uploads/x"));
    let response = request
        .header("origin", "https://a.example")
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(response.headers(), "access-control-allow-origin"),
        "*"
    );
    assert_eq!(
        header(response.headers(), "access-control-allow-credentials"),
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_from_elsewhere_cannot_upload() {
    let front = Front::open();
    let request = Client::new()
        .post(front.url("/upload"))
        .multipart(form("NEW"));
    let response = request
        .header("origin", "http://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(response.headers(), "access-control-allow-origin"),
        ""
    );
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

fn form(session: &'static str) -> Form {
    Form::new().text("session_id", session)
}

fn file(bytes: usize) -> Part {
    Part::bytes(vec![b'x'; bytes]).file_name("x.txt")
}

async fn upload(front: &Front, form: Form) -> (StatusCode, Value) {
    let request = Client::new().post(front.url("/upload")).multipart(form);
    let response = request.header("origin", PAGE).send().await.unwrap();
    let origin = header(response.headers(), "access-control-allow-origin").to_owned();
    assert_eq!(origin, PAGE, "a page can read why");
    json(response).await
}

fn complaint(status: StatusCode, message: &str) -> (StatusCode, Value) {
    (status, json!({"data": null, "message": message}))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_in_order() {
    let front = Front::open();
    let bad = |message| complaint(StatusCode::BAD_REQUEST, message);
    let missing = bad("session ID is required");
    assert_eq!(
        upload(&front, Form::new().part("file", file(10))).await,
        missing
    );
    assert_eq!(
        upload(&front, form("").part("file", file(10))).await,
        missing
    );
    assert_eq!(
        upload(&front, form("NEW")).await,
        bad("user ID is required")
    );
    let user = || form("NEW").text("user_id", "x");
    assert_eq!(upload(&front, user()).await, bad("model Name is required"));
    let number = user().text("model_id", "many");
    assert_eq!(upload(&front, number).await, bad("model Name is required"));
    // Whether there is such a model nobody can say.
    let away = complaint(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    assert_eq!(
        upload(&front, user().text("model_name", "gpt-4")).await,
        away
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_form_has_no_session() {
    let front = Front::open();
    let request = Client::new()
        .post(front.url("/upload"))
        .body("session_id=NEW");
    let response = json(request.send().await.unwrap()).await;
    assert_eq!(
        response,
        complaint(StatusCode::BAD_REQUEST, "session ID is required")
    );
    let request = Client::new()
        .post(front.url("/upload"))
        .body("--nothing of the kind");
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let response = json(request.send().await.unwrap()).await;
    assert_eq!(response, complaint(StatusCode::BAD_REQUEST, "Server error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_and_parts_have_limits() {
    let front = Front::open();
    let broken = complaint(StatusCode::BAD_REQUEST, "Server error");
    let long = form("NEW").text("session_prompt", "x".repeat(64 * 1024 + 1));
    assert_eq!(upload(&front, long).await, broken);
    let many = (0..100).fold(form("NEW"), |form, number| {
        form.text(format!("f{number}"), "x")
    });
    assert_eq!(upload(&front, many).await, broken);
    let unknown = form("").text("unknown", "x".repeat(200 * 1024));
    let missing = complaint(StatusCode::BAD_REQUEST, "session ID is required");
    assert_eq!(
        upload(&front, unknown).await,
        missing,
        "what is unknown is passed over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_stored_is_read_to_its_end_and_refused() {
    let front = Front::open();
    // Longer than anything in between holds, and before the fields.
    let form = Form::new()
        .part("file", file(4 * 1024 * 1024))
        .text("session_id", "NEW")
        .text("user_id", "x");
    let missing = complaint(StatusCode::BAD_REQUEST, "model Name is required");
    assert_eq!(upload(&front, form).await, missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_wanted_before_anything_is_read() {
    let front = Front::start(settings(AuthMode::Token, &[]));
    let refused = upload(&front, form("NEW")).await;
    assert_eq!(refused, complaint(StatusCode::UNAUTHORIZED, "Unauthorized"));
    let download = get(&front, "/uploads/x").await;
    assert_eq!(header(download.headers(), "www-authenticate"), "Bearer");
    let refused = (StatusCode::UNAUTHORIZED, json!({"error": "Unauthorized"}));
    assert_eq!(json(download).await, refused);
    let with_token = get(&front, "/uploads/x?token=abc").await;
    assert_eq!(with_token.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(with_token.headers(), "retry-after"), "2");
    assert_eq!(header(with_token.headers(), "set-cookie"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cannot_be_served_without_the_service() {
    let front = Front::open();
    let response = get(&front, "/uploads/x.png").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_rested_is_still_there() {
    let front = Front::open();
    let mut connection = TcpStream::connect(front.address).await.unwrap();
    for rest in [Duration::from_secs(6), Duration::ZERO] {
        let request = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            answer.push(connection.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        sleep(rest).await;
    }
    // It holds up nobody who stops: that is before requests under way are cut off.
    front.begin_to_stop();
    let ended = timeout(Duration::from_secs(3), connection.read_u8()).await;
    assert!(ended.is_ok_and(|read| read.is_err()));
    assert!(front.stop().await);
}
