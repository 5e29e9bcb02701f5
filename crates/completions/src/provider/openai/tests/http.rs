//! The whole provider against a server whose answers are scripted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use confab_runtime::Tasks;
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::catalogue::Catalogue;
use crate::provider::tests::{prompt, read};
use crate::provider::{Bill, Piece, Prompt, ProviderError, Registry, Routed};
use crate::settings::{self, Settings};

pub(super) const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n";
pub(super) const END: &str = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\
                   \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
const SEVEN_FIVE: Bill = Bill::Tokens {
    input: 7,
    output: 5,
};

/// A server that gives its answers one after the other and remembers what it was asked.
#[derive(Clone, Default)]
pub(super) struct Server {
    answers: Arc<Mutex<VecDeque<Response>>>,
    asked: Arc<Mutex<Vec<(Uri, HeaderMap, Bytes)>>>,
}

impl Server {
    pub(super) async fn with(answers: impl IntoIterator<Item = Response>) -> (Self, String) {
        let server = Self::default();
        server.answers.lock().unwrap().extend(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(server.clone());
        Tasks::new().spawn("server", async move {
            axum::serve(listener, router).await.unwrap();
        });
        (server, format!("http://{address}/v1/"))
    }

    pub(super) fn asked(&self) -> Vec<(Uri, HeaderMap, Bytes)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    State(server): State<Server>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    server.asked.lock().unwrap().push((uri, headers, body));
    let next = server.answers.lock().unwrap().pop_front();
    match next {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

pub(super) fn status(status: u16, body: &'static str) -> Response {
    let response = Response::builder().status(status);
    response
        .header("retry-after", "0")
        .body(body.into())
        .unwrap()
}

pub(super) fn ok(body: impl Into<Body>) -> Response {
    Response::new(body.into())
}

/// The shipped settings with a key and these; their first model is the openai provider's.
fn settings(base_url: &str, more: &[(&str, &str)]) -> Settings {
    let common = [
        ("providers.openai.base_url", base_url),
        ("providers.openai.api_key", "canary-key"),
    ];
    let set: Vec<_> = common.iter().chain(more).copied().collect();
    settings::tests::read(&set).unwrap()
}

fn asked_of(settings: &Settings, question: &str) -> Prompt {
    Prompt {
        model: Catalogue::new(settings).by_id(0).unwrap().clone(),
        ..prompt(question)
    }
}

async fn ask(settings: &Settings, question: &str) -> Result<Routed, ProviderError> {
    let registry = Registry::new(settings).unwrap();
    registry.route(asked_of(settings, question)).await
}

async fn asked(base_url: &str, retries: &str) -> Result<Routed, ProviderError> {
    ask(
        &settings(base_url, &[("providers.openai.retries", retries)]),
        "canary?",
    )
    .await
}

async fn refusal(base_url: &str, retries: &str) -> ProviderError {
    asked(base_url, retries).await.err().expect("an error")
}

#[tokio::test]
async fn a_question_is_asked_with_the_key_and_answered() {
    let (server, url) = Server::with([ok([TEXT, END].concat())]).await;
    let answer = ask(&settings(&url, &[]), "Why?").await.unwrap().answer;
    assert_eq!(read(answer).await, ("Hello".to_owned(), Ok(SEVEN_FIVE)));

    let (uri, headers, body) = server.asked().remove(0);
    assert_eq!(uri, "/v1/chat/completions");
    assert_eq!(headers["authorization"], "Bearer canary-key");
    assert_eq!(headers["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["messages"][0]["content"], "Why?");
    assert_eq!(body.get("user"), None);
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let busy = || status(429, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}");
    let (server, url) = Server::with([busy(), busy(), ok([TEXT, END].concat())]).await;
    let answer = asked(&url, "2").await.unwrap().answer;
    assert_eq!(read(answer).await.0, "Hello");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_server_that_stays_broken_is_given_up() {
    let (server, url) = Server::with((0..9).map(|_| status(500, "canary"))).await;
    let error = ProviderError::Failed("status 500, unknown".to_owned());
    assert_eq!(refusal(&url, "2").await, error);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn what_the_request_itself_caused_is_told_at_once() {
    for (response, error) in [
        (
            status(400, "{\"error\":{\"code\":\"context_length_exceeded\"}}"),
            ProviderError::TooLong,
        ),
        (
            status(
                401,
                "{\"error\":{\"code\":\"invalid_api_key\",\"message\":\"canary\"}}",
            ),
            ProviderError::Failed("status 401, invalid_api_key".to_owned()),
        ),
        (
            status(307, "canary"),
            ProviderError::Failed("status 307, unknown".to_owned()),
        ),
        (
            status(400, "{\"error\":{\"message\":\"no such thing\"}}"),
            ProviderError::Refused {
                said: "status 400, unknown".to_owned(),
                message: "no such thing".to_owned(),
            },
        ),
    ] {
        let (server, url) = Server::with([response]).await;
        assert_eq!(refusal(&url, "5").await, error);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_retried_after_the_first_text() {
    let (cut, is_cut) = oneshot::channel::<()>();
    let text = stream::iter([Ok(TEXT)]);
    let body = text.chain(stream::once(async { is_cut.await.map(|()| "") }));
    let (server, url) = Server::with([ok(Body::from_stream(body))]).await;
    let mut answer = asked(&url, "5").await.unwrap().answer;
    let first = answer.next().await.unwrap();
    assert_eq!(first, Ok(Piece::Text("Hello".to_owned())));
    drop(cut);
    let (text, end) = read(answer).await;
    assert_eq!(text, "");
    assert!(matches!(end, Err(ProviderError::Failed(_))), "{end:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ProviderError::Failed(text) = refusal(&format!("http://{address}/v1"), "0").await else {
        panic!("another error");
    };
    assert!(text.starts_with("no answer: "), "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let (_server, url) = Server::with([]).await;
    let hasty = settings(&url, &[("providers.openai.first_token_ms", "1")]);
    let error = ask(&hasty, "Why?").await.err().unwrap();
    let silent = ProviderError::Failed("no text within 1 ms".to_owned());
    assert_eq!(error, silent);
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let (closed, is_closed) = oneshot::channel::<()>();
    let endless = stream::unfold(closed, |closed| async move {
        tokio::task::yield_now().await;
        Some((Ok::<_, &str>(TEXT), closed))
    });
    let (_server, url) = Server::with([ok(Body::from_stream(endless))]).await;
    let mut answer = asked(&url, "0").await.unwrap().answer;
    assert!(answer.next().await.unwrap().is_ok());
    drop(answer);
    assert!(is_closed.await.is_err(), "the server's stream was dropped");
}

#[test]
fn the_path_is_appended_to_any_base_url() {
    for (base, url) in [
        ("http://h/v1", "http://h/v1/chat/completions"),
        ("http://h/v1/", "http://h/v1/chat/completions"),
        ("http://h", "http://h/chat/completions"),
        (
            "http://h/a?version=1",
            "http://h/a/chat/completions?version=1",
        ),
    ] {
        assert_eq!(
            super::super::below(&base.parse().unwrap(), &["chat", "completions"]).as_str(),
            url
        );
    }
}
