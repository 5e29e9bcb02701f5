//! The group-chat front end, as a test drives it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::direct::micros;
use crate::history::Message;
use crate::people::{Dialect, From, Person, open};
use crate::{Received, Socket};

/// One socket of a person.
pub struct Client {
    /// The socket, for what has no name here.
    pub socket: Socket,
    /// Whose it is.
    pub person: Person,
}

impl Client {
    /// Connects to `/ws/chats/`.
    pub async fn connect(address: SocketAddr, person: &Person) -> Self {
        Self::connect_from(address, person, &From::Now).await
    }

    /// Connects where an earlier socket ended.
    pub async fn connect_from(address: SocketAddr, person: &Person, from: &From) -> Self {
        let socket = open(address, Dialect::Groups, person, from).await;
        Self {
            socket: socket.expect("the socket opens"),
            person: person.clone(),
        }
    }

    /// Makes one of the six requests and waits for its answer: the data of the reply, or the error's text.
    pub async fn call(&mut self, kind: &str, data: Value) -> Result<Value, String> {
        let request = json!({ "type": kind, "data": data });
        self.socket.send_json(&request).await;
        let reply = reply_of(kind);
        let me = self.person.number;
        let text = data["text"].clone();
        let frame = self.socket.frame_that(kind, |frame| {
            let body = &frame["data"];
            match frame["type"].as_str() {
                Some("error" | "info") => true,
                // The same frames tell of what others do.
                Some("messageCreated") if kind == "newMessage" => {
                    body["sender"]["id"] == me && body["text"] == text
                }
                Some("chatJoined") if kind == "joinChat" => body["user"]["id"] == me,
                other => other == Some(reply),
            }
        });
        let mut frame = frame.await;
        match frame["message"].as_str() {
            Some(text) => Err(text.to_owned()),
            None => Ok(frame["data"].take()),
        }
    }

    /// Makes an empty chat and gives its number.
    pub async fn create(&mut self) -> i64 {
        let chat = self.call("createEmptyChat", json!({})).await;
        let chat = chat.expect("the chat is made");
        chat["id"].as_i64().expect("a chat's id is an integer")
    }

    /// Joins a chat.
    pub async fn join(&mut self, chat: i64) -> Value {
        let joined = self.call("joinChat", json!({ "chat": chat })).await;
        joined.expect("the chat is joined")
    }

    /// Sends a text and waits for its reply; the frame's data.
    pub async fn say(&mut self, chat: i64, text: &str) -> Value {
        let data = json!({ "chat": chat, "text": text, "client_msg_id": text });
        let said = self.call("newMessage", data).await;
        said.expect("the message is taken")
    }

    /// The next pushed message with a text; the frame's data.
    pub async fn hear(&mut self, text: &str) -> Value {
        let what = format!("messageCreated of {text:?} for {}", self.person.username);
        let frame = self.socket.frame_that(&what, |frame| {
            frame["type"] == "messageCreated" && frame["data"]["text"] == text
        });
        frame.await["data"].take()
    }

    /// The texts of a chat, oldest first.
    pub async fn texts(&mut self, chat: i64) -> Vec<String> {
        let messages = self
            .call("getChatMessages", json!({ "chatId": chat }))
            .await;
        let messages = messages.expect("the messages");
        let messages = messages.as_array().expect("a list");
        let texts = messages.iter().map(|message| message["text"].as_str());
        texts.map(|text| text.expect("a text").to_owned()).collect()
    }

    /// The texts that were pushed or confirmed so far.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        let frames = self.socket.log().iter();
        let said = frames.filter(|frame| frame["type"] == "messageCreated");
        said.filter_map(|frame| frame["data"]["text"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The type of the reply to a request.
fn reply_of(request: &str) -> &'static str {
    match request {
        "getChats" => "chatsList",
        "createEmptyChat" => "emptyChatCreated",
        "joinChat" => "chatJoined",
        "getChatDetails" => "chatDetails",
        "newMessage" => "messageCreated",
        "getChatMessages" => "chatMessages",
        _ => "error",
    }
}

/// The message in a frame; `None` for other frames. `people` says who has which number.
#[must_use]
pub fn parse(frame: &Value, people: &[Person]) -> Option<Message> {
    if frame["type"] != "messageCreated" {
        return None;
    }
    message(&frame["data"], people)
}

fn message(data: &Value, people: &[Person]) -> Option<Message> {
    let sender = data["sender"]["id"].as_i64()?;
    let sender = people.iter().find(|person| person.number == sender)?;
    Some(Message {
        thread: data["chat"].as_i64()?,
        seq: data["seq"].as_i64()?,
        id: data["id"].as_i64()?,
        sender: sender.id,
        body: data["text"].as_str()?.to_owned(),
        at_micros: micros(&data["timestamp"])?,
    })
}

/// The messages of a chat over a socket of its own; `None` when the gateway or what it needs is away.
pub async fn history(
    address: SocketAddr,
    person: &Person,
    chat: i64,
    people: &[Person],
) -> Option<Vec<Message>> {
    let socket = open(address, Dialect::Groups, person, &From::Now).await;
    let mut socket = socket.ok()?;
    let request = json!({ "type": "getChatMessages", "data": { "chatId": chat } });
    socket.try_send(&request).await;
    loop {
        let Received::Frame(frame) = socket.receive().await else {
            return None;
        };
        match frame["type"].as_str() {
            Some("chatMessages") => {
                let messages = frame["data"].as_array().expect("a list");
                let messages = messages.iter().map(|data| message(data, people));
                return Some(
                    messages
                        .collect::<Option<_>>()
                        .expect("each has all fields"),
                );
            }
            Some("error") => return None,
            // What others say meanwhile.
            _ => {}
        }
    }
}
