//! A model's server, in OpenAI's language, that is told in the question what to do.
//!
//! `20 words, halt 3 7` is answered with 20 words; the first attempt halts for good after 3, the second after 7, later
//! ones say all and what they took. Each attempt has other words. Anything else is answered with its roles and texts.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use confab_runtime::Tasks;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the server has done so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// The bodies it was sent.
    pub(crate) asked: Vec<Value>,
    /// When a caller hung up in the middle of an answer.
    pub(crate) hung_up: Vec<Instant>,
    /// What it has counted for answers that it has said to the end: tokens read and written.
    pub(crate) billed: Vec<(u32, u32)>,
}

#[derive(Clone)]
pub(crate) struct Upstream {
    seen: Arc<watch::Sender<Seen>>,
    /// How often each question was asked.
    attempts: Arc<Mutex<std::collections::HashMap<String, usize>>>,
    pub(crate) url: String,
}

/// What one attempt says.
struct Script {
    words: Vec<String>,
    halts: bool,
    bill: (u32, u32),
}

/// Says that the caller hung up, unless it was told everything.
struct Line {
    seen: Arc<watch::Sender<Seen>>,
    bill: Option<(u32, u32)>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let bill = self.bill;
        self.seen.send_modify(|seen| match bill {
            Some(bill) => seen.billed.push(bill),
            None => seen.hung_up.push(Instant::now()),
        });
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            seen: Arc::new(watch::Sender::default()),
            attempts: Arc::default(),
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
        };
        let router = Router::new().fallback(answer).with_state(upstream.clone());
        Tasks::new().spawn("upstream", async move {
            axum::serve(listener, router).await.unwrap();
        });
        upstream
    }

    /// Settings with which it answers for the model `LLAMA`.
    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [
            ("providers.ollama.base_url", &self.url),
            ("providers.ollama.retries", "0"),
        ]
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// The messages that it was sent last, as role and text.
    pub(crate) fn messages(&self) -> Vec<(String, String)> {
        let seen = self.seen();
        let body = seen.asked.last().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = body["messages"].as_array().unwrap();
        messages
            .iter()
            .map(|message| (text(&message["role"]), text(&message["content"])))
            .collect()
    }

    /// Returns when it was asked so often.
    pub(crate) async fn was_asked(&self, times: usize) {
        self.wait(|seen| seen.asked.len() >= times).await;
    }

    /// Returns when so many callers have hung up.
    pub(crate) async fn was_left(&self, times: usize) {
        self.wait(|seen| seen.hung_up.len() >= times).await;
    }

    async fn wait(&self, until: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(until)).await;
        assert!(waited.is_ok(), "the server waits in vain");
    }

    fn script(&self, body: &Value) -> Script {
        let messages = body["messages"].as_array().unwrap();
        let question = messages.last().unwrap()["content"].as_str().unwrap();
        let attempt = {
            let mut attempts = self.attempts.lock().unwrap();
            let attempt = attempts.entry(question.to_owned()).or_default();
            *attempt += 1;
            *attempt
        };
        let mut numbers = question.split(|character: char| !character.is_ascii_digit());
        let mut numbers = numbers
            .by_ref()
            .filter_map(|number| number.parse::<usize>().ok());
        let Some(count) = numbers.next().filter(|_| question.contains("words")) else {
            return Script {
                words: messages.iter().map(Value::to_string).collect(),
                halts: false,
                bill: (11, 7),
            };
        };
        let halt = numbers.nth(attempt - 1);
        let words = (0..halt.unwrap_or(count)).map(|word| word_of(attempt, word));
        Script {
            words: words.collect(),
            halts: halt.is_some(),
            bill: (30, u32::try_from(count).unwrap()),
        }
    }
}

/// A word of an attempt, both counted from where they should be.
pub(crate) fn word_of(attempt: usize, word: usize) -> String {
    format!("{attempt}日{word} ")
}

/// The first words of an attempt.
pub(crate) fn words_of(attempt: usize, count: usize) -> String {
    (0..count).map(|word| word_of(attempt, word)).collect()
}

async fn answer(State(upstream): State<Upstream>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let Script { words, halts, bill } = upstream.script(&body);
    upstream.seen.send_modify(|seen| seen.asked.push(body));
    let mut line = Line {
        seen: Arc::clone(&upstream.seen),
        bill: None,
    };
    let texts = words
        .into_iter()
        .map(|word| event(&json!({"choices": [{"delta": {"content": word}}]})));
    let end = event(&json!({
        "choices": [{"delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": bill.0, "completion_tokens": bill.1},
    }));
    let ending = stream::once(async move {
        if halts {
            std::future::pending::<()>().await;
        }
        line.bill = Some(bill);
        drop(line);
        format!("{end}data: [DONE]\n\n")
    });
    let body = stream::iter(texts).chain(ending);
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from_stream(body.map(Ok::<_, std::io::Error>)))
        .unwrap()
}

fn event(event: &Value) -> String {
    format!("data: {event}\n\n")
}
