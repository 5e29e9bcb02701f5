//! Any server with OpenAI's chat completions: OpenAI, Ollama, vLLM, llama.cpp. One attempt each: what follows a failed
//! one is decided in [`super::routing`].

mod embeddings;
mod events;
mod raw;
mod reading;
mod refusal;
mod relaying;
#[cfg(test)]
mod tests;
mod told;
mod wire;

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use confab_rpc::transport;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::Url;

use self::raw::Body;
use self::reading::Reading;
use self::refusal::Refusal;
use self::relaying::Relaying;
use crate::catalogue::Model;
use crate::provider::{
    Answer, Cause, Chat, Embedded, Failure, Prompt, Provider, ProviderError, Relay, Texts,
};
use crate::settings::OpenAiSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 64 * 1024;
/// How much of an answer with vectors is read.
const VECTORS_BYTES: usize = 64 * 1024 * 1024;
/// Texts of one request.
const BATCH: usize = 256;
/// An answer that comes whole may take so much longer than a first text.
const WHOLE: u32 = 10;

/// A server with OpenAI's chat completions.
#[derive(Debug)]
pub(super) struct OpenAi {
    client: Client,
    chat: Url,
    embeddings: Url,
    /// One set for each key; one without any when there is none.
    headers: Vec<HeaderMap>,
    first_token: Duration,
    idle: Duration,
}

impl OpenAi {
    /// Neither redirects nor a proxy of the environment lead elsewhere than the settings say.
    pub(super) fn new(
        base_url: &Url,
        settings: &OpenAiSettings,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .http2_initial_stream_window_size(transport::CALL_WINDOW)
            .http2_initial_connection_window_size(transport::CONNECTION_WINDOW)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        let mut all = settings
            .api_keys
            .iter()
            .map(|key| headers(Some(key)))
            .collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() {
            all.push(headers(None)?);
        }
        Ok(Self {
            client,
            chat: below(base_url, &["chat", "completions"]),
            embeddings: below(base_url, &["embeddings"]),
            headers: all,
            first_token: Duration::from_millis(settings.first_token_ms),
            idle: Duration::from_millis(settings.idle_ms),
        })
    }

    async fn post(&self, url: &Url, body: Vec<u8>, key: usize) -> Result<Response, Failure> {
        let headers = self.headers.get(key).cloned().unwrap_or_default();
        let response = self
            .client
            .post(url.clone())
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| {
                let text = format!("no answer: {}", cause(&error));
                Failure::new(Cause::Moment(None), text)
            })?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refused(response).await)
        }
    }

    async fn embed_some(
        &self,
        texts: &Texts,
        batch: &[String],
        model: &Model,
        key: usize,
    ) -> Result<(Vec<Vec<f32>>, Option<u32>), Failure> {
        let request = embeddings::Request {
            model: &model.name,
            input: batch,
            encoding_format: "base64",
            dimensions: Some(texts.dimensions).filter(|count| *count > 0),
        };
        let response = self.post(&self.embeddings, encode(&request)?, key).await?;
        let body = beginning(response, VECTORS_BYTES).await;
        let wrong = || Failure::new(Cause::Provider, "the answer holds no vectors for the texts");
        let answer: embeddings::Answer = serde_json::from_slice(&body).map_err(|_| wrong())?;
        let tokens = answer.tokens();
        let vectors = answer.vectors(batch.len()).ok_or_else(wrong)?;
        Ok((vectors, tokens))
    }
}

#[async_trait::async_trait]
impl Provider for OpenAi {
    fn keys(&self) -> usize {
        self.headers.len()
    }

    async fn ask(&self, prompt: &Prompt, key: usize) -> Result<Answer, Failure> {
        let body = encode(&wire::Request::new(prompt))?;
        within(self.first_token, async {
            let response = self.post(&self.chat, body, key).await?;
            let mut reading = Reading::new(stream(response));
            let first = reading.next().await?;
            Ok(reading.into_answer(first, self.idle))
        })
        .await
    }

    async fn chat(&self, chat: &Chat, model: &Model, key: usize) -> Result<Relay, Failure> {
        let body = chat.body_for(model)?;
        let limit = if chat.stream {
            self.first_token
        } else {
            self.first_token * WHOLE
        };
        within(limit, async {
            let response = self.post(&self.chat, body, key).await?;
            let mut relaying = Relaying::new(stream(response), chat.stream);
            let first = relaying.next().await?;
            Ok(relaying.into_relay(first, self.idle))
        })
        .await
    }

    async fn embed(&self, texts: &Texts, model: &Model, key: usize) -> Result<Embedded, Failure> {
        let mut embedded = Embedded {
            vectors: Vec::with_capacity(texts.inputs.len()),
            tokens: Some(0),
        };
        for batch in texts.inputs.chunks(BATCH) {
            let asked = self.embed_some(texts, batch, model, key);
            let (vectors, tokens) = within(self.first_token, asked).await?;
            embedded.vectors.extend(vectors);
            embedded.tokens = embedded
                .tokens
                .zip(tokens)
                .map(|(sum, more)| sum.saturating_add(more));
        }
        Ok(embedded)
    }
}

async fn within<T>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, attempt).await.unwrap_or_else(|_| {
        let text = format!("no text within {} ms", limit.as_millis());
        Err(Failure::new(Cause::Provider, text))
    })
}

fn encode(request: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(request).map_err(|error| Failure {
        error: ProviderError::Failed(error.to_string()),
        cause: Cause::Request,
    })
}

fn stream(response: Response) -> Body {
    response
        .bytes_stream()
        .map_err(|error| cause(&error))
        .boxed()
}

/// The base URL may end in a slash and may have a query.
fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

fn headers(api_key: Option<&SecretString>) -> Result<HeaderMap, Box<dyn Error + Send + Sync>> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = api_key {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
            .map_err(|_| "the key has characters that no header can carry")?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

async fn refused(response: Response) -> Failure {
    let status = response.status().as_u16();
    let told = retry_after(response.headers());
    let body = beginning(response, REFUSAL_BYTES).await;
    let answer = serde_json::from_slice(&body).unwrap_or_default();
    Refusal::find(&answer)
        .unwrap_or_default()
        .with_status(status, told)
}

/// So much of a body as may be read, or as came.
async fn beginning(mut response: Response, most: usize) -> Bytes {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            break;
        }
    }
    body.into()
}

/// In seconds; the form with a date is rare and counts as none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().map(Duration::from_secs).ok()
}

/// What is at the bottom of it, such as "connection refused". The layers above repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
