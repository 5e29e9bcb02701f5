//! What every front end does before it does anything of its own: reaching a gateway, by HTTP or by a socket.

use std::time::Duration;

use reqwest::{Client, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::LoadError;

/// How long a connection may rest before it is used no more: shorter than a Confab or what is before it keeps one, as a
/// request on a connection that is closed meanwhile fails.
const RESTS: Duration = Duration::from_secs(4);

/// How much of a refusal is shown, in bytes.
const SHOWN: usize = 300;

/// The gateways of a Confab.
#[derive(Debug, Clone)]
pub(crate) struct FrontEnd {
    client: Client,
    gateways: Vec<Url>,
}

impl FrontEnd {
    pub(crate) fn new(gateways: Vec<Url>) -> Result<Self, LoadError> {
        let client = Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(usize::MAX)
            .pool_idle_timeout(RESTS)
            .build()?;
        Ok(Self { client, gateways })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The address of a path, on the gateway whose turn it is.
    pub(crate) fn url(&self, turn: usize, path: &str) -> String {
        let gateway = &self.gateways[turn % self.gateways.len()];
        format!("{}{path}", gateway.as_str().trim_end_matches('/'))
    }

    /// The same for a socket.
    pub(crate) fn socket_url(&self, turn: usize, path: &str) -> String {
        let url = self.url(turn, path);
        // `http` becomes `ws`, `https` becomes `wss`.
        url.replacen("http", "ws", 1)
    }

    /// Sends JSON and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Result<T, LoadError> {
        let mut request = self.client.post(self.url(0, path)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Ok(accepted(what, request.send().await?).await?.json().await?)
    }
}

/// The reply, if the request was accepted.
pub(crate) async fn accepted(
    what: &'static str,
    response: Response,
) -> Result<Response, LoadError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let mut body = response.text().await.unwrap_or_default();
    body.truncate(body.floor_char_boundary(SHOWN));
    Err(LoadError::Refused {
        what,
        status: status.as_u16(),
        body,
    })
}
