//! The REST front end for conversations with a model, as a test drives it.

mod wire;

use std::net::SocketAddr;

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

pub use wire::Read;

/// One front end at one gateway.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    token: Option<String>,
}

/// An answer as it was streamed.
#[derive(Debug)]
pub struct Streamed {
    /// The chunks of the network, each of which the front end takes for one event.
    pub chunks: Vec<String>,
    /// Header `x-run-id`.
    pub run: String,
    /// Whether it is the answer of an earlier request.
    pub replayed: bool,
}

impl Client {
    /// One that brings no credential.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            http: reqwest::Client::new(),
            address,
            token: None,
        }
    }

    /// One that brings a token.
    #[must_use]
    pub fn with_token(address: SocketAddr, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..Self::new(address)
        }
    }

    /// Any request: the status and the body, which is `null` when there is none.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        read(request.send().await.expect("the gateway answers")).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    /// POST of JSON with a key.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Response {
        let request = self.request(Method::POST, path).json(body);
        let request = request.header("Idempotency-Key", key);
        request.send().await.expect("the gateway answers")
    }

    /// What the page does first: finds its user, or makes it. The user's number.
    pub async fn enter(&self, username: &str) -> i64 {
        let (status, users) = self.get("/users").await;
        assert_eq!(status, 200, "{users}");
        let users = users.as_array().expect("a list of users");
        if let Some(user) = users.iter().find(|user| user["username"] == username) {
            return number(user, "id");
        }
        let credentials = json!({ "username": username, "password": "secret" });
        let (status, user) = self.post("/users", &credentials).await;
        assert_eq!(status, 201, "{user}");
        number(&user, "id")
    }

    /// Then: takes the user's first conversation, or begins one. Its number.
    pub async fn conversation(&self, user: i64) -> i64 {
        let (status, listed) = self.get(&format!("/users/{user}/conversations")).await;
        assert_eq!(status, 200, "{listed}");
        if let Some(first) = listed.get(0) {
            return number(first, "id");
        }
        let new = json!({ "title": "Nouvelle conversation", "user_id": user });
        let (status, begun) = self.post("/conversations", &new).await;
        assert_eq!(status, 201, "{begun}");
        number(&begun, "id")
    }

    /// What was said: role and content. Each message has what the page wants of it.
    pub async fn history(&self, conversation: i64) -> Vec<(String, String)> {
        let path = format!("/conversations/{conversation}/messages");
        let (status, listed) = self.get(&path).await;
        assert_eq!(status, 200, "{listed}");
        let listed = listed.as_array().expect("a list of messages");
        let said = listed.iter().map(|message| {
            number(message, "id");
            assert!(message["created_at"].is_string(), "{message}");
            assert_eq!(number(message, "conversation_id"), conversation);
            let text = |key: &str| message[key].as_str().expect("a text").to_owned();
            (text("role"), text("content"))
        });
        said.collect()
    }

    /// Posts a question. The number of the message.
    pub async fn say(&self, conversation: i64, content: &str) -> i64 {
        let path = format!("/conversations/{conversation}/messages");
        let body = json!({ "role": "user", "content": content });
        let (status, message) = self.post(&path, &body).await;
        assert_eq!(status, 201, "{message}");
        number(&message, "id")
    }

    /// Asks for a whole answer.
    pub async fn complete(&self, conversation: i64) -> (u16, Value) {
        let path = format!("/conversations/{conversation}/messages:complete");
        self.post(&path, &json!({ "stream": false })).await
    }

    /// Asks for a streamed answer; the response as soon as its head is there.
    pub async fn open(&self, conversation: i64, key: Option<&str>) -> Response {
        let path = format!("/conversations/{conversation}/messages:complete");
        let request = self.request(Method::POST, &path);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let request = request.json(&json!({ "stream": true }));
        request.send().await.expect("the gateway answers")
    }

    /// Asks for a streamed answer and reads it to its end.
    pub async fn stream(&self, conversation: i64) -> Streamed {
        read_stream(self.open(conversation, None).await).await
    }

    /// Reads a run from a place on: the events as (name, id, data).
    pub async fn follow(&self, conversation: i64, run: &str, offset: i64) -> Vec<Event> {
        let path = format!("/conversations/{conversation}/runs/{run}/stream");
        let request = self.request(Method::GET, &path);
        let request = request.header("Last-Event-ID", offset.to_string());
        let response = request.send().await.expect("the gateway answers");
        assert_eq!(response.status(), 200);
        let text = response.text().await.expect("the stream ends");
        let events = text.split_terminator("\n\n");
        events
            .filter(|event| !event.starts_with(':'))
            .map(Event::parse)
            .collect()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `delta`, `restarted`, `done` or `error`.
    pub name: String,
    /// How many bytes of the answer there are with it.
    pub id: i64,
    /// What it says.
    pub data: Value,
}

impl Event {
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines();
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} is missing: {text}"))
        };
        Self {
            name: field("event: ").to_owned(),
            id: field("id: ").parse().expect("an offset"),
            data: serde_json::from_str(field("data: ")).expect("JSON"),
        }
    }
}

/// Reads a streamed answer to its end.
pub async fn read_stream(response: Response) -> Streamed {
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/event-stream");
    let run = headers["x-run-id"].to_str().expect("a run").to_owned();
    let replayed = headers.contains_key("Idempotent-Replayed");
    let mut chunks = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.expect("the stream comes to its end");
        chunks.push(String::from_utf8(chunk.to_vec()).expect("UTF-8"));
    }
    Streamed {
        chunks,
        run,
        replayed,
    }
}

/// What the front end shows of chunks: it takes each for one event, and wants this of it. The second value says whether the
/// answer is whole.
#[must_use]
pub fn shown(chunks: &[String]) -> (String, bool) {
    let mut text = String::new();
    for chunk in chunks {
        let data = chunk.strip_prefix("data: ").expect("a data line");
        let data = data.strip_suffix("\n\n").expect("an empty line");
        assert!(!data.contains('\n'), "one event: {chunk}");
        if data == "[DONE]" {
            return (text, true);
        }
        let event: Value = serde_json::from_str(data).expect("JSON");
        if event["error"].is_object() {
            return (text, false);
        }
        number(&event, "id");
        let choice = &event["choices"][0];
        assert_eq!(choice["finish_reason"], "stop", "{event}");
        assert_eq!(choice["delta"]["role"], "assistant", "{event}");
        text.push_str(choice["delta"]["content"].as_str().expect("a text"));
    }
    (text, false)
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    (status, body)
}

fn number(value: &Value, key: &str) -> i64 {
    let number = value[key].as_i64();
    number.unwrap_or_else(|| panic!("{key} is a number: {value}"))
}
