//! The AI-session front end, as a test drives it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};
use uuid::Uuid;

use crate::Socket;

/// One socket of the front end.
pub struct Client(Socket);

impl Client {
    /// Connects to `/ws`.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::open(address, "/ws", &[])
            .await
            .expect("the socket opens")
    }

    /// Connects to any path with any headers; says how it was refused.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        Socket::open(address, path, headers).await.map(Self)
    }

    /// Sends one request and waits for its reply.
    pub async fn call(&mut self, kind: i64, data: Value) -> Value {
        self.send(&json!({ "type": kind, "data": data }).to_string())
            .await;
        self.reply().await
    }

    /// Asks a model; the reply as it came.
    pub async fn ask(&mut self, user: Uuid, session: &str, model: &str, message: &str) -> Value {
        self.call(
            3,
            json!({
                "user_id": user,
                "session_id": session,
                "model_name": model,
                "message": message,
                "session_prompt": "",
                "file_name": "",
            }),
        )
        .await
    }

    /// The history of a session, as the front end reads it: role and content.
    pub async fn history(&mut self, user: Uuid, session: &str) -> Vec<(String, String)> {
        let reply = self
            .call(2, json!({ "user_id": user, "session_id": session }))
            .await;
        let chat = reply["data"]["chat"]
            .as_str()
            .unwrap_or_else(|| panic!("chat is a text of JSON: {reply}"));
        let entries: Vec<Value> = serde_json::from_str(chat).expect("chat holds JSON");
        let text = |entry: &Value, key: &str| {
            entry[key]
                .as_str()
                .expect("an entry holds texts")
                .to_owned()
        };
        entries
            .iter()
            .map(|entry| (text(entry, "role"), text(entry, "content")))
            .collect()
    }

    /// Sends a text frame as it is.
    pub async fn send(&mut self, text: &str) {
        self.0.send_text(text).await;
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) {
        self.0.send(message).await;
    }

    /// The next reply, whatever opcode it has; pings in between are answered by the library.
    pub async fn reply(&mut self) -> Value {
        let message = self.message().await;
        let text = message.to_text().expect("a reply is text");
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next message that is not a ping or pong.
    pub async fn message(&mut self) -> Message {
        self.0.message().await.expect("the socket works")
    }
}
