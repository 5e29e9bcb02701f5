//! Any server with OpenAI's chat completions: OpenAI, Ollama, vLLM, llama.cpp.
//!
//! An attempt that brought no text may be made again; once there is text, the answer goes on from this attempt or fails.

mod events;
mod reading;
mod retry;
#[cfg(test)]
mod tests;
mod wire;

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::reading::Reading;
use self::retry::{Again, Failure, is_transient};
use crate::provider::{Answer, Piece, Prompt, Provider, ProviderError};
use crate::settings::OpenAiSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 64 * 1024;

/// A server with OpenAI's chat completions.
#[derive(Debug)]
pub(super) struct OpenAi {
    client: Client,
    url: Url,
    headers: HeaderMap,
    first_token: Duration,
    idle: Duration,
    retries: u32,
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
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            url: chat_completions(base_url),
            headers: headers(settings.api_key.as_ref())?,
            first_token: Duration::from_millis(settings.first_token_ms),
            idle: Duration::from_millis(settings.idle_ms),
            retries: settings.retries,
        })
    }

    async fn attempt(&self, body: Bytes) -> Result<(Piece, Reading), Failure> {
        let response = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .body(body)
            .send()
            .await
            .map_err(|error| Failure::new(Again::Soon, format!("no answer: {}", cause(&error))))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let body = response.bytes_stream().map_err(|error| cause(&error));
        let mut reading = Reading::new(body.boxed());
        let first = reading.next().await?;
        Ok((first, reading))
    }
}

#[async_trait::async_trait]
impl Provider for OpenAi {
    async fn ask(&self, prompt: Prompt) -> Result<Answer, ProviderError> {
        let body = serde_json::to_vec(&wire::Request::new(&prompt))
            .map_err(|error| ProviderError::Failed(error.to_string()))?;
        let body = Bytes::from(body);
        let attempt = || self.attempt(body.clone());
        let (first, reading) = retry::until_text(self.retries, self.first_token, attempt).await?;
        Ok(reading.into_answer(first, self.idle))
    }
}

/// The base URL may end in a slash and may have a query.
fn chat_completions(base: &Url) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["chat", "completions"]);
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
    let asked = retry_after(response.headers());
    let refusal = wire::refusal(&beginning(response).await);
    if refusal.as_ref().is_some_and(|refusal| refusal.too_long) {
        return Failure::too_long();
    }
    let again = match asked {
        _ if !is_transient(status) => Again::Never,
        Some(pause) => Again::After(pause),
        None => Again::Soon,
    };
    let code = refusal.map_or_else(|| "unknown".to_owned(), |refusal| refusal.code);
    Failure::new(again, format!("status {status}, {code}"))
}

/// The body as JSON; null when it is something else or too long.
async fn beginning(mut response: Response) -> serde_json::Value {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > REFUSAL_BYTES {
            break;
        }
    }
    serde_json::from_slice(&body).unwrap_or_default()
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
