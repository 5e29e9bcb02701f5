//! A server of OpenAI's chat completions and vectors, scripted by the test.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval};

/// The least time between two pieces of a steady answer, and of one that takes its time.
const PIECE: Duration = Duration::from_millis(1);
const SLOW_PIECE: Duration = Duration::from_millis(20);

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Streams these pieces of text, then what they took: tokens in and out.
    Text(Vec<&'static str>, u32, u32),
    /// The same, but a piece in a millisecond: as fast as models are, for as long as there are pieces.
    Steady(Vec<&'static str>, u32, u32),
    /// The same, but a piece in twenty milliseconds: an answer in the middle of which much can happen.
    Slow(Vec<&'static str>, u32, u32),
    /// Streams these pieces and ends there, without saying that this is the end.
    Cut(Vec<&'static str>),
    /// Refuses with a status.
    Status(u16),
    /// Refuses with a status and this body.
    Refusal(u16, Value),
    /// Answers with these events' JSON, and says that they are all.
    Events(Vec<Value>),
    /// Streams these pieces and then nothing more, until the caller hangs up.
    Hang(Vec<&'static str>),
    /// Says that too much is asked of it, and to come back after so many seconds.
    Busy(u32),
    /// Streams these bytes, whatever they are, and ends there.
    Bytes(Vec<Vec<u8>>),
    /// Streams this piece again and again, a thousand times in a second, until the caller hangs up.
    Endless(&'static str),
}

impl Reply {
    /// The bytes of an event that brings a text.
    #[must_use]
    pub fn piece(text: &str) -> Vec<u8> {
        delta(text).into_bytes()
    }
}

#[derive(Debug)]
struct Script {
    replies: VecDeque<Reply>,
    otherwise: Reply,
    requests: Vec<Value>,
    keys: Vec<String>,
}

/// A provider that listens; it ends when dropped.
pub struct OpenAi {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    server: AbortHandle,
}

impl OpenAi {
    /// Starts one that gives these replies in turn, and `Hello.` (10 tokens in, 2 out) from then on.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let hello = Reply::Text(vec!["Hel", "lo."], 10, 2);
        Self::start_with(replies, hello).await
    }

    /// Starts one that gives these replies in turn, and another one from then on.
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    pub async fn start_with(replies: impl IntoIterator<Item = Reply>, otherwise: Reply) -> Self {
        let script = Arc::new(Mutex::new(Script {
            replies: replies.into_iter().collect(),
            otherwise,
            requests: Vec::new(),
            keys: Vec::new(),
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port for the provider");
        let address = listener.local_addr().expect("the provider's address");
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/embeddings", post(embed))
            .with_state(Arc::clone(&script));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            script,
            server: server.abort_handle(),
        }
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bodies of the requests it got, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.requests.clone()
    }

    /// How many of its replies nobody has asked for yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.replies.len()
    }

    /// These replies come next.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.replies.extend(replies);
    }

    /// The `Authorization` headers of the requests it got.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.keys.clone()
    }
}

impl Drop for OpenAi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn complete(
    State(script): State<Arc<Mutex<Script>>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let streams = body["stream"] == json!(true);
    let reply = {
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let key = headers.get(header::AUTHORIZATION);
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
        script.keys.push(key.to_owned());
        script.requests.push(body);
        let next = script.replies.pop_front();
        next.unwrap_or_else(|| script.otherwise.clone())
    };
    match reply {
        Reply::Status(code) => StatusCode::from_u16(code)
            .expect("the script names a status")
            .into_response(),
        Reply::Text(pieces, input, output) if !streams => Json(json!({
            "id": "chatcmpl-upstream", "object": "chat.completion", "created": 1, "model": "upstream",
            "choices": [{
                "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": pieces.concat() },
            }],
            "usage": { "prompt_tokens": input, "completion_tokens": output },
        }))
        .into_response(),
        Reply::Text(pieces, input, output) => streamed(text(pieces, input, output)),
        Reply::Steady(pieces, input, output) => steady(text(pieces, input, output), PIECE),
        Reply::Slow(pieces, input, output) => steady(text(pieces, input, output), SLOW_PIECE),
        Reply::Cut(pieces) => streamed(pieces.into_iter().map(delta).collect()),
        Reply::Refusal(code, body) => {
            let status = StatusCode::from_u16(code).expect("the script names a status");
            (status, Json(body)).into_response()
        }
        Reply::Events(events) => {
            let done = "data: [DONE]\n\n".to_owned();
            streamed(events.iter().map(event).chain([done]).collect())
        }
        Reply::Busy(seconds) => {
            let after = [(header::RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, after).into_response()
        }
        Reply::Bytes(pieces) => body_of(stream::iter(pieces)),
        Reply::Endless(piece) => {
            let mut period = interval(PIECE);
            period.set_missed_tick_behavior(MissedTickBehavior::Delay);
            body_of(stream::unfold(period, move |mut period| async move {
                period.tick().await;
                Some((delta(piece), period))
            }))
        }
        Reply::Hang(pieces) => {
            let events = stream::iter(pieces.into_iter().map(delta).collect::<Vec<_>>());
            body_of(events.chain(stream::pending()))
        }
    }
}

/// Three numbers for each text: its length, 1 and 0; a token for each word.
async fn embed(State(script): State<Arc<Mutex<Script>>>, Json(body): Json<Value>) -> Response {
    let texts = body["input"].as_array().cloned().unwrap_or_default();
    let texts: Vec<_> = texts.iter().filter_map(Value::as_str).collect();
    let words: usize = texts.iter().map(|text| text.split(' ').count()).sum();
    let vectors: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "index": index, "embedding": [text.len(), 1, 0] }))
        .collect();
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    script.requests.push(body);
    Json(json!({ "data": vectors, "usage": { "prompt_tokens": words } })).into_response()
}

fn delta(text: &str) -> String {
    event(&json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }))
}

fn event(body: &Value) -> String {
    format!("data: {body}\n\n")
}

/// An answer to its end.
fn text(pieces: Vec<&'static str>, input: u32, output: u32) -> Vec<String> {
    let usage = json!({ "prompt_tokens": input, "completion_tokens": output });
    let end = [
        event(&json!({ "choices": [], "usage": usage })),
        "data: [DONE]\n\n".to_owned(),
    ];
    pieces.into_iter().map(delta).chain(end).collect()
}

fn streamed(events: Vec<String>) -> Response {
    body_of(stream::iter(events))
}

fn steady(events: Vec<String>, piece: Duration) -> Response {
    let mut period = interval(piece);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = (period, events.into_iter());
    body_of(stream::unfold(begin, |(mut period, mut events)| async {
        period.tick().await;
        Some((events.next()?, (period, events)))
    }))
}

fn body_of<T: Into<Bytes>>(events: impl Stream<Item = T> + Send + 'static) -> Response {
    let body = Body::from_stream(events.map(|event| Ok::<Bytes, Infallible>(event.into())));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}
