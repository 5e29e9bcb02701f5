//! A chat server that passes messages on and does nothing else: what a load on sockets is measured against.
//!
//! Everything is in memory, nothing is kept, and nobody is checked: a person's token is the person's id. It speaks as
//! much of the direct and groups dialects as loads do. What Confab needs beyond it is what storing, ordering for
//! everybody, and knowing who may do what cost; what it needs itself is the machine's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::LoadError;
use crate::dialect::Dialect;
use crate::socket::lean;

type Sockets = Vec<UnboundedSender<Utf8Bytes>>;

/// Serves until the process ends.
#[expect(
    clippy::disallowed_methods,
    reason = "sockets end with the process, which has nothing to finish"
)]
pub(crate) async fn serve(address: SocketAddr) -> Result<(), LoadError> {
    let relay = Arc::new(Relay::default());
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let relay = Arc::clone(&relay);
        // A socket that breaks off is of no interest.
        tokio::spawn(async move { drop(relay.socket(stream).await) });
    }
}

#[derive(Default)]
struct Relay(Mutex<State>);

#[derive(Default)]
struct State {
    /// By person's id.
    sockets: HashMap<String, Sockets>,
    /// By both ids, the smaller first: the pair's thread.
    pairs: HashMap<[String; 2], Thread>,
    /// By number, from 1.
    chats: Vec<Chat>,
    messages: i64,
}

struct Thread {
    number: usize,
    seq: i64,
}

#[derive(Default)]
struct Chat {
    seq: i64,
    members: Vec<String>,
}

#[derive(Deserialize)]
struct Direct {
    receiver_id: String,
    message_body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", tag = "type", content = "data")]
enum Groups {
    CreateEmptyChat {},
    JoinChat { chat: usize },
    NewMessage { chat: usize, text: String },
}

impl Relay {
    async fn socket(&self, stream: TcpStream) -> Result<(), Error> {
        stream.set_nodelay(true)?;
        let (mut dialect, mut person) = (Dialect::Groups, String::new());
        #[expect(clippy::result_large_err, reason = "as tungstenite's callback is")]
        let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            if request.uri().path() == Dialect::Direct.path() {
                dialect = Dialect::Direct;
            }
            let token = request
                .uri()
                .query()
                .and_then(|it| it.strip_prefix("token="));
            token.unwrap_or_default().clone_into(&mut person);
            Ok(response)
        };
        let mut socket = accept_hdr_async_with_config(stream, look, Some(lean())).await?;
        let (sender, mut to_send) = unbounded_channel();
        self.change(|state| {
            let sockets = state.sockets.entry(person.clone()).or_default();
            sockets.push(sender.clone());
        });
        loop {
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(Ok(Message::Text(text))) => self.change(|state| match dialect {
                        Dialect::Direct => state.direct(&person, &text),
                        _ => state.groups(&person, &text, &sender),
                    }),
                    Some(Ok(Message::Close(_))) | None => return Ok(()),
                    Some(frame) => drop(frame?),
                },
                Some(text) = to_send.recv() => {
                    socket.feed(Message::Text(text)).await?;
                    while let Ok(text) = to_send.try_recv() {
                        socket.feed(Message::Text(text)).await?;
                    }
                    socket.flush().await?;
                }
            }
        }
    }

    /// One at a time, so that everybody sees the same order.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn direct(&mut self, author: &str, frame: &str) {
        let Ok(message) = serde_json::from_str::<Direct>(frame) else {
            return;
        };
        let mut pair = [author.to_owned(), message.receiver_id];
        pair.sort_unstable();
        let number = self.pairs.len() + 1;
        let new = Thread { number, seq: 0 };
        let thread = self.pairs.entry(pair.clone()).or_insert(new);
        thread.seq += 1;
        self.messages += 1;
        let shown = json!({
            "action": "text_message", "message_body": message.message_body, "thread": thread.number, "seq": thread.seq,
            "created_msg_id": self.messages,
        });
        self.send(&pair, &shown.to_string());
    }

    fn groups(&mut self, author: &str, frame: &str, own: &UnboundedSender<Utf8Bytes>) {
        let Ok(request) = serde_json::from_str::<Groups>(frame) else {
            return;
        };
        let answered = match request {
            Groups::CreateEmptyChat {} => {
                self.chats.push(Chat::default());
                json!({ "type": "emptyChatCreated", "data": { "id": self.chats.len() } })
            }
            Groups::JoinChat { chat } => {
                if let Some(chat) = self.chats.get_mut(chat.wrapping_sub(1)) {
                    chat.members.push(author.to_owned());
                }
                json!({ "type": "chatJoined", "data": { "chat": chat } })
            }
            Groups::NewMessage { chat: number, text } => {
                let Some(chat) = self.chats.get_mut(number.wrapping_sub(1)) else {
                    return;
                };
                chat.seq += 1;
                self.messages += 1;
                let data =
                    json!({ "chat": number, "text": text, "seq": chat.seq, "id": self.messages });
                let shown = json!({ "type": "messageCreated", "data": data }).to_string();
                let members = chat.members.clone();
                return self.send(&members, &shown);
            }
        };
        // Whoever is gone needs no answer.
        let _ = own.send(answered.to_string().into());
    }

    fn send(&mut self, people: &[String], frame: &str) {
        let frame = Utf8Bytes::from(frame);
        for person in people {
            if let Some(sockets) = self.sockets.get_mut(person) {
                sockets.retain(|socket| socket.send(frame.clone()).is_ok());
            }
        }
    }
}
