//! A program that speaks OpenAI's API to one gateway, without an SDK in the way.

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

/// The program.
#[derive(Debug, Clone)]
pub struct OpenAiClient {
    client: Client,
    address: SocketAddr,
    key: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Of the answer.
    pub headers: HeaderMap,
    /// Null when it is no JSON.
    pub body: Value,
}

impl OpenAiClient {
    /// One with an API key or a token.
    #[must_use]
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self {
            client: Client::new(),
            address,
            key: key.to_owned(),
        }
    }

    /// GET below `/v1`.
    pub async fn get(&self, path: &str) -> Answer {
        read(self.send(self.client.get(self.url(path))).await).await
    }

    /// POST below `/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        read(self.open(path, body, &[]).await).await
    }

    /// POST with headers besides the usual ones.
    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        read(self.open(path, body, headers).await).await
    }

    /// POST, as it comes.
    pub async fn open(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Response {
        let mut request = self.client.post(self.url(path)).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// The events of a streamed answer, each without its frame; the last one is `[DONE]` when all went well.
    pub async fn events(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Vec<String> {
        let response = self.open(path, body, headers).await;
        let kind = response.headers().get("content-type").cloned();
        let text = response.text().await.expect("a body");
        let kind = kind.expect("a content type");
        assert_eq!(kind, "text/event-stream; charset=utf-8", "{text}");
        let frames = text.strip_suffix("\n\n").expect("a whole last event");
        let frames = frames.split("\n\n").map(|frame| {
            let data = frame.strip_prefix("data: ").expect("data and nothing else");
            assert!(!data.contains('\n'), "{data:?}");
            data.to_owned()
        });
        frames.collect()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v1{path}", self.address)
    }

    async fn send(&self, request: RequestBuilder) -> Response {
        let request = request.bearer_auth(&self.key);
        request.send().await.expect("the gateway answers")
    }
}

async fn read(response: Response) -> Answer {
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.json().await.unwrap_or_default(),
    }
}
