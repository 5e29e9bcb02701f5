//! Somebody who asks a model one question after another, and follows each answer to its end whatever happens.
//!
//! What has no answer is asked again with the same key, at the next gateway; an answer that was cut off is read on.

use std::net::SocketAddr;
use std::time::Duration;

use confab_testkit::people::Person;
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::RETRY;

/// The longest silence in an answer before it is read elsewhere.
const SILENCE: Duration = Duration::from_secs(5);

/// How long one question is followed before it is given up.
const GIVEN_UP: Duration = Duration::from_secs(90);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// One who asks.
pub struct Asker {
    http: Client,
    person: Person,
    gateways: Vec<SocketAddr>,
    at: usize,
    rng: fastrand::Rng,
}

/// What somebody asked, and what came of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who.
    pub person: Person,
    /// The number of the conversation; 0: it never began.
    pub conversation: i64,
    /// The answers, oldest first.
    pub answers: Vec<Answer>,
    /// What the conversation holds at the end.
    pub messages: Vec<Value>,
    /// What no Confab should answer.
    pub surprises: Vec<String>,
}

/// An answer that was wanted.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The `Idempotency-Key`.
    pub key: String,
    /// Every run that this key was answered with: more than one is wrong.
    pub runs: Vec<String>,
    /// The text as it was read, put together from all that came.
    pub text: String,
    /// The run at its end as it tells of itself; none: it never came to one.
    pub run: Option<Value>,
    /// How often it was asked for or read on.
    pub attempts: usize,
    /// Whether the reader was told that the answer is begun anew.
    pub restarted: bool,
    /// From the first request to the end.
    pub took: Duration,
}

impl Answer {
    /// Remembers which run the key was answered with.
    fn note(&mut self, run: Option<String>) {
        self.runs.extend(run.filter(|run| !self.runs.contains(run)));
    }
}

/// How one attempt to read ended.
enum Read {
    /// All of it was read.
    Whole,
    /// It is to be read on.
    Cut,
}

impl Asker {
    /// One who begins at the first of some gateways.
    #[must_use]
    pub fn new(person: &Person, gateways: Vec<SocketAddr>, seed: u64) -> Self {
        Self {
            http: Client::new(),
            person: person.clone(),
            gateways,
            at: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Asks until it is told to stop; the last answer is still followed to its end.
    pub async fn run(mut self, mut goes_on: watch::Receiver<bool>) -> Asked {
        let mut asked = Asked {
            person: self.person.clone(),
            conversation: 0,
            answers: Vec::new(),
            messages: Vec::new(),
            surprises: Vec::new(),
        };
        let title = json!({ "title": "chaos", "user_id": self.person.number });
        let begun = self.store("/conversations", "begin", &title, &mut asked.surprises);
        let Some(begun) = begun.await else {
            return asked;
        };
        asked.conversation = begun["id"].as_i64().unwrap_or_default();
        let thread = format!("/conversations/{}", asked.conversation);
        for number in 0.. {
            if !*goes_on.borrow_and_update() {
                break;
            }
            let question = format!("{} asks {number}", self.person.username);
            let body = json!({ "role": "user", "content": question });
            let key = format!("question-{number}");
            let path = format!("{thread}/messages");
            if self
                .store(&path, &key, &body, &mut asked.surprises)
                .await
                .is_none()
            {
                break;
            }
            let mut answer = Answer {
                key: format!("answer-{number}"),
                ..Answer::default()
            };
            let asked_at = Instant::now();
            let followed = self.follow(&thread, &mut answer, &mut asked.surprises);
            // Then the run has no end, which is seen.
            let _ = timeout(GIVEN_UP, followed).await;
            answer.took = asked_at.elapsed();
            asked.answers.push(answer);
            let pause = PAUSE.mul_f64(0.5 + self.rng.f64());
            let _ = timeout(pause, goes_on.changed()).await;
        }
        let path = format!("{thread}/messages");
        asked.messages = self.list(&path, &mut asked.surprises).await;
        asked
    }

    /// What a conversation holds, however long it takes to read it.
    async fn list(&mut self, path: &str, surprises: &mut Vec<String>) -> Vec<Value> {
        let until = Instant::now() + GIVEN_UP;
        while Instant::now() < until {
            if let Some(Value::Array(messages)) = self.look(path, surprises).await {
                return messages;
            }
            self.go_elsewhere().await;
        }
        surprises.push(format!("{path} could not be read"));
        Vec::new()
    }

    /// Has something stored, however long it takes; none when it is refused for good.
    async fn store(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
        surprises: &mut Vec<String>,
    ) -> Option<Value> {
        let until = Instant::now() + GIVEN_UP;
        while Instant::now() < until {
            let request = self.request(Method::POST, path).json(body);
            let request = request.header("Idempotency-Key", key).timeout(SILENCE);
            if let Ok(response) = request.send().await {
                let status = response.status();
                let text = response.text().await;
                match text {
                    Ok(text) if status.is_success() => return serde_json::from_str(&text).ok(),
                    Ok(text) if is_refusal(status) => {
                        surprises.push(format!("{status} for {path}: {text}"));
                        return None;
                    }
                    _ => {}
                }
            }
            self.go_elsewhere().await;
        }
        surprises.push(format!("{path} was never stored"));
        None
    }

    async fn follow(&mut self, thread: &str, answer: &mut Answer, surprises: &mut Vec<String>) {
        loop {
            answer.attempts += 1;
            let known = answer.runs.last().cloned();
            let read = match &known {
                None => self.ask(thread, answer, surprises).await,
                Some(run) => self.read_on(thread, run, answer, surprises).await,
            };
            if let (Read::Whole, Some(run)) = (read, answer.runs.last().cloned())
                && let Some(run) = self.look(&format!("{thread}/runs/{run}"), surprises).await
                && !run["ended_at"].is_null()
            {
                answer.run = Some(run);
                return;
            }
            self.go_elsewhere().await;
        }
    }

    /// Asks for the answer, and reads it as far as it comes.
    async fn ask(
        &mut self,
        thread: &str,
        answer: &mut Answer,
        surprises: &mut Vec<String>,
    ) -> Read {
        let path = format!("{thread}/messages:complete");
        let request = self.request(Method::POST, &path);
        let request = request.header("Idempotency-Key", &answer.key);
        let request = request.json(&json!({ "stream": true })).send();
        let Ok(Ok(response)) = timeout(SILENCE, request).await else {
            return Read::Cut;
        };
        let status = response.status();
        let run = response.headers().get("x-run-id");
        let run = run.and_then(|run| run.to_str().ok()).map(str::to_owned);
        let led_to_a_run = run.is_some();
        answer.note(run);
        if is_refusal(status) {
            let text = response.text().await.unwrap_or_default();
            surprises.push(format!("{status} for {path}: {text}"));
            return Read::Cut;
        }
        match (status.is_success(), led_to_a_run) {
            (true, true) => self.read(response, answer, false).await,
            // It has failed before its first text, and this key will never be told anything else.
            (false, true) => Read::Whole,
            (_, false) => Read::Cut,
        }
    }

    /// Reads a run from where its reader is.
    async fn read_on(
        &mut self,
        thread: &str,
        run: &str,
        answer: &mut Answer,
        surprises: &mut Vec<String>,
    ) -> Read {
        let path = format!("{thread}/runs/{run}/stream");
        let request = self.request(Method::GET, &path);
        let offset = answer.text.len().to_string();
        let request = request.header("Last-Event-ID", offset).send();
        let Ok(Ok(response)) = timeout(SILENCE, request).await else {
            return Read::Cut;
        };
        let status = response.status();
        if status.as_u16() == 400 {
            // Another text has taken the place of the one that was read, and is shorter.
            answer.text.clear();
            return Read::Cut;
        }
        if is_refusal(status) {
            let text = response.text().await.unwrap_or_default();
            surprises.push(format!("{status} for {path}: {text}"));
            return Read::Cut;
        }
        if !status.is_success() {
            return Read::Cut;
        }
        self.read(response, answer, true).await
    }

    /// Reads events as they come, named ones or not.
    async fn read(&self, response: Response, answer: &mut Answer, named: bool) -> Read {
        let mut body = response.bytes_stream();
        let mut buffer = Vec::new();
        while let Ok(Some(Ok(bytes))) = timeout(SILENCE, body.next()).await {
            buffer.extend_from_slice(&bytes);
            while let Some(end) = buffer.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = buffer.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event);
                let over = if named {
                    take_named(&event, answer)
                } else {
                    take(&event, answer)
                };
                if over {
                    return Read::Whole;
                }
            }
        }
        Read::Cut
    }

    /// What there must be; none when it cannot be read now.
    async fn look(&self, path: &str, surprises: &mut Vec<String>) -> Option<Value> {
        let request = self.request(Method::GET, path).timeout(SILENCE).send();
        let response = request.await.ok()?;
        let status = response.status();
        let text = response.text().await.ok()?;
        if is_refusal(status) {
            surprises.push(format!("{status} for {path}: {text}"));
        }
        let found = serde_json::from_str(&text).ok()?;
        status.is_success().then_some(found)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.gateways[self.at]);
        self.http
            .request(method, url)
            .bearer_auth(&self.person.token)
    }

    async fn go_elsewhere(&mut self) {
        self.at = (self.at + 1) % self.gateways.len();
        sleep(RETRY).await;
    }
}

/// Whether an answer means that it will never be otherwise. That a request was too slow says nothing about it.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
}

/// Takes an event of the stream that the language always had; whether it is the last one.
fn take(event: &str, answer: &mut Answer) -> bool {
    let data = event.trim_end().strip_prefix("data: ").unwrap_or_default();
    if data == "[DONE]" {
        return true;
    }
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    if let Some(text) = data["choices"][0]["delta"]["content"].as_str() {
        answer.text.push_str(text);
    }
    false
}

/// Takes an event with a name.
fn take_named(event: &str, answer: &mut Answer) -> bool {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    let data = field("data: ").unwrap_or_default();
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    match field("event: ").unwrap_or_default() {
        "delta" => {
            answer
                .text
                .push_str(data["text"].as_str().unwrap_or_default());
            false
        }
        "restarted" => {
            answer.text.clear();
            answer.restarted = true;
            false
        }
        name => name == "done" || name == "error",
    }
}
