//! A WebSocket as any front end has one, and the log of what came over it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::eventually::within;
use crate::in_time;

/// What came over a socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// A frame of JSON.
    Frame(Value),
    /// The end, with the code that the server gave; none when it just broke.
    Closed(Option<u16>),
}

/// One socket of a front end.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    log: Option<Vec<Value>>,
    heard: Instant,
}

impl Socket {
    /// Connects to any path with any headers; says how it was refused.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        Self::upgrade(stream, address, path, headers).await
    }

    /// Connects with room for few bytes that were not read yet, as a client has that is about to stop reading.
    pub async fn open_narrow(
        address: SocketAddr,
        path: &str,
        receive_bytes: u32,
    ) -> Result<Self, Error> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(receive_bytes)?;
        let stream = socket.connect(address).await?;
        Self::upgrade(stream, address, path, &[]).await
    }

    async fn upgrade(
        stream: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a header's value");
            request.headers_mut().insert(*name, value);
        }
        let (stream, _) = client_async(request, stream).await?;
        Ok(Self {
            stream,
            log: Some(Vec::new()),
            heard: Instant::now(),
        })
    }

    /// The same socket, which keeps nothing of what comes.
    #[must_use]
    pub fn without_log(mut self) -> Self {
        self.log = None;
        self
    }

    /// For how long nothing has come, pings included.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        let sent = self.stream.send(message).await;
        sent.expect("the socket takes the message");
    }

    /// Sends JSON; says whether the socket took it.
    pub async fn try_send(&mut self, frame: &Value) -> bool {
        let sent = self.stream.send(Message::text(frame.to_string())).await;
        sent.is_ok()
    }

    /// Sends JSON.
    pub async fn send_json(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    /// Sends text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// The next message that is not a ping or pong; `None` when the socket broke.
    pub async fn message(&mut self) -> Option<Message> {
        loop {
            let message = self.stream.next().await?.ok()?;
            self.heard = Instant::now();
            if !message.is_ping() && !message.is_pong() {
                return Some(message);
            }
        }
    }

    /// The next frame, or the end. Safe to drop while it waits.
    pub async fn receive(&mut self) -> Received {
        match self.message().await {
            None => Received::Closed(None),
            Some(Message::Close(frame)) => {
                Received::Closed(frame.map(|frame| u16::from(frame.code)))
            }
            Some(message) => {
                let text = message.to_text().expect("a frame is text");
                let frame: Value = serde_json::from_str(text)
                    .unwrap_or_else(|error| panic!("not JSON, {error}: {text}"));
                if let Some(log) = &mut self.log {
                    log.push(frame.clone());
                }
                Received::Frame(frame)
            }
        }
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        self.frame_that("a frame comes", |_| true).await
    }

    /// The next frame that is like this; those before it go to the log only.
    pub async fn frame_that(&mut self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let found = within(async {
            loop {
                match self.receive().await {
                    Received::Frame(frame) if matches(&frame) => return Ok(frame),
                    Received::Frame(_) => {}
                    Received::Closed(code) => return Err(code),
                }
            }
        });
        let found = found.await;
        match found {
            Some(Ok(frame)) => frame,
            Some(Err(code)) => panic!("closed with {code:?} before: {what}; came: {:#?}", self.log),
            None => panic!("it never came: {what}; came: {:#?}", self.log),
        }
    }

    /// The code that the server closes with; frames before it go to the log.
    pub async fn closed(&mut self) -> Option<u16> {
        in_time("the socket is closed", async {
            loop {
                if let Received::Closed(code) = self.receive().await {
                    return code;
                }
            }
        })
        .await
    }

    /// Every frame that came so far.
    #[must_use]
    pub fn log(&self) -> &[Value] {
        self.log.as_deref().unwrap_or_default()
    }

    /// Says goodbye and waits for the end, at most a second.
    pub async fn close(mut self) {
        // Either way it is over.
        let _ = self.stream.close(None).await;
        let _ = timeout(Duration::from_secs(1), async {
            while self.message().await.is_some() {}
        })
        .await;
    }
}
