//! Requests over HTTP, as a front end of any dialect makes them.

use std::net::SocketAddr;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

/// Somebody's HTTP client at one gateway.
#[derive(Debug, Clone)]
pub struct Rest {
    client: Client,
    address: SocketAddr,
    token: Option<String>,
}

impl Rest {
    /// One that brings no credential.
    #[must_use]
    pub fn anonymous(address: SocketAddr) -> Self {
        Self {
            client: Client::new(),
            address,
            token: None,
        }
    }

    /// One that brings a token.
    #[must_use]
    pub fn with_token(address: SocketAddr, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..Self::anonymous(address)
        }
    }

    /// Somebody's at another gateway, which shares the connections of this one.
    #[must_use]
    pub fn of(&self, address: SocketAddr, token: &str) -> Self {
        Self {
            client: self.client.clone(),
            address,
            token: Some(token.to_owned()),
        }
    }

    /// GET of what must be there: its body; none when the gateway or what it needs is away; an error when it is something
    /// else.
    pub async fn look(&self, path: &str) -> Result<Option<Value>, String> {
        let request = self.authorized(self.client.get(self.url(path)));
        let Ok(response) = request.send().await else {
            return Ok(None);
        };
        let status = response.status();
        // It may break off in the middle.
        let Ok(text) = response.text().await else {
            return Ok(None);
        };
        // That a request came too slowly says nothing about it either.
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Ok(None);
        }
        match serde_json::from_str(&text) {
            Ok(body) if status.is_success() => Ok(Some(body)),
            _ => Err(format!("{status} for {path}: {text}")),
        }
    }

    /// GET: the status and the body.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.read(self.client.get(self.url(path))).await
    }

    /// GET as it comes.
    pub async fn fetch(&self, path: &str) -> Response {
        let request = self.client.get(self.url(path));
        self.run(request).await
    }

    /// POST of JSON: the status and the body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.read(self.client.post(self.url(path)).json(body)).await
    }

    /// POST of JSON: the status and a header of the answer.
    pub async fn post_for(&self, path: &str, body: &Value, header: &str) -> (u16, Option<String>) {
        let response = self.run(self.client.post(self.url(path)).json(body)).await;
        let found = response.headers().get(header);
        let found = found.and_then(|value| value.to_str().ok());
        (response.status().as_u16(), found.map(str::to_owned))
    }

    /// PATCH of JSON: the status and the body.
    pub async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.read(self.client.patch(self.url(path)).json(body))
            .await
    }

    /// DELETE: the status and the body.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.read(self.client.delete(self.url(path))).await
    }

    /// POST of a form: the status and the body.
    pub async fn post_form(&self, path: &str, form: Form) -> (u16, Value) {
        self.read(self.client.post(self.url(path)).multipart(form))
            .await
    }

    /// Uploads a file for a receiver, as the direct-message front end does.
    pub async fn upload(&self, receiver: Uuid, name: &str, bytes: Vec<u8>) -> (u16, Value) {
        let form = Form::new()
            .text("receiver", receiver.to_string())
            .text("message", "look at this")
            .part(
                "attached_file",
                Part::bytes(bytes).file_name(name.to_owned()),
            );
        self.post_form("/chat/attachment/", form).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn run(&self, request: RequestBuilder) -> Response {
        let sent = self.authorized(request).send().await;
        sent.expect("the gateway answers")
    }

    /// A body that is not JSON is given as its text.
    async fn read(&self, request: RequestBuilder) -> (u16, Value) {
        let response = self.run(request).await;
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, body)
    }
}
