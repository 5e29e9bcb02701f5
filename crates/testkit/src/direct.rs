//! The direct-message front end, as a test drives it.

use std::net::SocketAddr;

use chrono::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::history::Message;
use crate::people::{Dialect, From, Person, open};
use crate::{Rest, Socket};

/// As many fit into a `client_msg_id`, whatever they are.
const KEY_CHARS: usize = 60;

/// One socket of a person.
pub struct Client {
    /// The socket, for what has no name here.
    pub socket: Socket,
    /// Whose it is.
    pub person: Person,
}

impl Client {
    /// Connects to `/ws/chat/room/`.
    pub async fn connect(address: SocketAddr, person: &Person) -> Self {
        Self::connect_from(address, person, &From::Now).await
    }

    /// Connects where an earlier socket ended.
    pub async fn connect_from(address: SocketAddr, person: &Person, from: &From) -> Self {
        let socket = open(address, Dialect::Direct, person, from).await;
        Self {
            socket: socket.expect("the socket opens"),
            person: person.clone(),
        }
    }

    /// Asks for a text to be sent; its beginning is its `client_msg_id`.
    pub async fn send(&mut self, receiver: Uuid, text: &str) {
        let key: String = text.chars().take(KEY_CHARS).collect();
        let frame = text_message(receiver, text, &key);
        self.socket.send_json(&frame).await;
    }

    /// Sends a text and waits for its confirmation.
    pub async fn say(&mut self, receiver: Uuid, text: &str) -> Message {
        self.send(receiver, text).await;
        self.hear("conf_message", text).await
    }

    /// The next frame with an action and a text.
    pub async fn hear(&mut self, action: &str, text: &str) -> Message {
        let what = format!("{action} of {text:?} for {}", self.person.username);
        let frame = self.socket.frame_that(&what, |frame| {
            frame["action"] == action && frame["message_body"] == text
        });
        parse(&frame.await).expect("a message")
    }

    /// The text of the next error frame.
    pub async fn error(&mut self) -> String {
        let frame = self
            .socket
            .frame_that("an error", |frame| frame["action"] == "error");
        let frame = frame.await;
        frame["message"]
            .as_str()
            .expect("an error's text")
            .to_owned()
    }

    /// All messages that came so far, in both directions.
    #[must_use]
    pub fn heard(&self) -> Vec<Message> {
        self.socket.log().iter().filter_map(parse).collect()
    }
}

/// The frame that asks for a text to be sent.
#[must_use]
pub fn text_message(receiver: Uuid, text: &str, key: &str) -> Value {
    json!({ "action": "text_message", "receiver_id": receiver, "message_body": text, "client_msg_id": key })
}

/// The message in a frame; `None` for other frames.
#[must_use]
pub fn parse(frame: &Value) -> Option<Message> {
    if frame["action"] != "re_message" && frame["action"] != "conf_message" {
        return None;
    }
    let body = frame["message_body"]
        .as_str()
        .or_else(|| frame["message"].as_str());
    Some(Message {
        thread: frame["thread"].as_i64()?,
        seq: frame["seq"].as_i64()?,
        id: frame["created_msg_id"].as_i64()?,
        sender: frame["sender_id"].as_str()?.parse().ok()?,
        body: body.unwrap_or_default().to_owned(),
        at_micros: micros(&frame["timestamp"])?,
    })
}

/// Microseconds of the Unix epoch of a time on the wire.
#[must_use]
pub fn micros(time: &Value) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(time.as_str()?).ok()?;
    Some(time.timestamp_micros())
}

/// The texts of the conversation with another user, newest first, by REST.
pub async fn texts(rest: &Rest, other: Uuid) -> Vec<String> {
    let (status, body) = rest.get(&format!("/chat/messages/{other}/")).await;
    assert_eq!(status, 200, "{body}");
    let messages = body["data"]["messages"].as_array().expect("messages");
    let texts = messages.iter().map(|message| &message["message"]);
    texts
        .map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The texts of the conversation with another user, in any order; none when the gateway or what it needs is away, an error
/// when the answer is none that a Confab gives.
pub async fn history(rest: &Rest, other: Uuid) -> Result<Option<Vec<Message>>, String> {
    let Some(body) = rest.look(&format!("/chat/messages/{other}/")).await? else {
        return Ok(None);
    };
    let messages = body["data"]["messages"].as_array();
    let texts = messages.map(|messages| {
        let messages = messages.iter();
        messages.filter(|message| message["message_type"] == "text")
    });
    let messages = texts.and_then(|texts| texts.map(listed).collect());
    messages
        .map(Some)
        .ok_or_else(|| format!("no messages: {body}"))
}

/// A message as a list of them shows it.
fn listed(message: &Value) -> Option<Message> {
    Some(Message {
        thread: message["thread"].as_i64()?,
        seq: message["seq"].as_i64()?,
        id: message["id"].as_i64()?,
        sender: message["sender"]["id"].as_str()?.parse().ok()?,
        body: message["message"].as_str()?.to_owned(),
        at_micros: micros(&message["created_at"])?,
    })
}
