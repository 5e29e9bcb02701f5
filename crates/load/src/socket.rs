//! One WebSocket of a front end, lean enough to have thousands of them.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::LoadError;

/// Small buffers: frames are short, and sockets are many.
const BUFFER: usize = 4 * 1024;

/// How such a socket is set up.
pub(crate) fn lean() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
}

/// An open socket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(url: &str) -> Result<Self, LoadError> {
        let (stream, _) = connect_async_with_config(url, Some(lean()), true).await?;
        Ok(Self(stream))
    }

    pub(crate) async fn send(&mut self, text: String) -> Result<(), LoadError> {
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// The next text; pings are answered by the way. Safe to drop while it waits.
    pub(crate) async fn text(&mut self) -> Result<Utf8Bytes, LoadError> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(_))) | None => return Err(Error::ConnectionClosed.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}
