//! A model that answers at once, with OpenAI's chat completions: what a load on completions is measured against.

use std::net::SocketAddr;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::LoadError;

/// What it always reads, in tokens.
const PROMPT_TOKENS: usize = 16;
/// How each token begins; its number follows.
pub(crate) const WORD: &str = "word";

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    stream: bool,
}

/// Serves until the process ends.
pub(crate) async fn serve(address: SocketAddr, tokens: usize) -> Result<(), LoadError> {
    let routes = Router::new()
        .route("/v1/chat/completions", post(answer))
        .with_state(tokens);
    // A token is not to wait for the one before it to be acknowledged.
    let listener = TcpListener::bind(address)
        .await?
        .tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, routes).await?)
}

async fn answer(State(tokens): State<usize>, Json(request): Json<Request>) -> Response {
    if !request.stream {
        return Json(whole(tokens)).into_response();
    }
    // Each event in a piece of its own, as models send them.
    let events = (0..tokens)
        .map(token)
        .chain([last(tokens), Bytes::from_static(b"data: [DONE]\n\n")]);
    let body = stream::iter(
        events
            .map(Ok::<_, std::convert::Infallible>)
            .collect::<Vec<_>>(),
    );
    let body = axum::body::Body::from_stream(body);
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn token(index: usize) -> Bytes {
    let event = json!({
        "id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": "instant",
        "choices": [{ "index": 0, "delta": { "content": format!("{WORD}{index} ") }, "finish_reason": null }],
    });
    format!("data: {event}\n\n").into()
}

fn last(tokens: usize) -> Bytes {
    let event = json!({
        "id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": "instant",
        "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }],
        "usage": usage(tokens),
    });
    format!("data: {event}\n\n").into()
}

fn whole(tokens: usize) -> serde_json::Value {
    let text = "word ".repeat(tokens);
    json!({
        "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": "instant",
        "choices": [{
            "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop",
        }],
        "usage": usage(tokens),
    })
}

fn usage(tokens: usize) -> serde_json::Value {
    json!({
        "prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens,
    })
}
