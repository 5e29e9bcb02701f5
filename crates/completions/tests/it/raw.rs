//! A model's server that says what it is told, byte for byte.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use confab_runtime::Tasks;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// One answer.
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// After the body: nothing for ever, or the same again and again.
    pub(crate) then: Then,
}

pub(crate) enum Then {
    End,
    Hang,
    Repeat,
}

#[derive(Clone)]
pub(crate) struct RawServer {
    answers: Arc<Mutex<VecDeque<Says>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    left: Arc<watch::Sender<usize>>,
    pub(crate) url: String,
}

/// Counts answers that nobody reads any more, or that are over.
struct Line(Arc<watch::Sender<usize>>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left += 1);
    }
}

pub(crate) fn says(body: impl AsRef<[u8]>) -> Says {
    Says {
        status: 200,
        body: body.as_ref().to_vec(),
        then: Then::End,
    }
}

impl RawServer {
    pub(crate) async fn with(answers: impl IntoIterator<Item = Says>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: Arc::default(),
            left: Arc::default(),
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
        };
        let router = Router::new().fallback(answer).with_state(server.clone());
        Tasks::new().spawn("raw server", async move {
            axum::serve(listener, router).await.unwrap();
        });
        server
    }

    /// One more answer.
    pub(crate) fn then(&self, says: Says) {
        self.answers.lock().unwrap().push_back(says);
    }

    /// Settings with which it answers for the model `LLAMA`.
    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [
            ("providers.ollama.base_url", &self.url),
            ("providers.ollama.retries", "0"),
        ]
    }

    /// What it was asked last, and where.
    pub(crate) fn asked(&self) -> (String, Value) {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Returns when so many of its answers are over.
    pub(crate) async fn was_left(&self, times: usize) {
        let mut left = self.left.subscribe();
        let waited = left.wait_for(|left| *left >= times);
        let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
        assert!(waited.is_ok(), "the server waits in vain");
    }
}

async fn answer(State(server): State<RawServer>, uri: Uri, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap();
    server
        .asked
        .lock()
        .unwrap()
        .push((uri.path().to_owned(), body));
    let next = server.answers.lock().unwrap().pop_front();
    let Says { status, body, then } = next.unwrap();
    let line = Line(Arc::clone(&server.left));
    let first = stream::once({
        let body = body.clone();
        async move { body }
    });
    let rest = stream::unfold((line, then), move |(line, then)| {
        let body = body.clone();
        async move {
            match then {
                Then::End => None,
                Then::Hang => std::future::pending().await,
                Then::Repeat => Some((body, (line, then))),
            }
        }
    });
    let body = first.chain(rest).map(Ok::<_, std::io::Error>);
    let response = Response::builder().status(status);
    response.body(Body::from_stream(body)).unwrap()
}
