//! What goes over the socket, as it is documented. What is read is a little more: numbers may come in digits.

use utoipa::ToSchema;

use super::wire::{Notice, Reply};
use crate::docs::asyncapi::{Channel, Message, Schemas};

const ABOUT: &str = "Group chats. The word in `type` says what a frame is. The handshake needs a credential, in open mode too, \
                     and fails with 403 without one. What others do in one's chats arrives as `messageCreated` and \
                     `chatJoined`, in the order of `seq`; `?resume=` brings what was missed.";

/// What is asked for.
#[derive(ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only its schema is used; `Request` is what is read"
)]
enum Asked {
    GetChats(Nothing),
    CreateEmptyChat(Nothing),
    JoinChat(Join),
    GetChatDetails(Details),
    NewMessage(Spoken),
    GetChatMessages(Wanted),
}

/// Nothing that is looked at.
#[derive(ToSchema)]
struct Nothing {}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Join {
    chat: i64,
    /// Moves the mark of what the user has read.
    last_read_message: Option<i64>,
}

#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct Details {
    chat_id: i64,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Spoken {
    chat: i64,
    /// At most 16 KiB.
    #[schema(min_length = 1)]
    text: String,
    #[serde(default)]
    is_read: bool,
    /// The same key gives the original message.
    #[schema(max_length = 255)]
    client_msg_id: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Wanted {
    #[serde(rename = "chatId")]
    chat_id: i64,
    /// A day, or a word for one.
    #[schema(example = "yesterday")]
    date_from: Option<String>,
    date_to: Option<String>,
    /// The time zone of the days, UTC when it is missing.
    #[schema(example = "Europe/Berlin")]
    tz: Option<String>,
    /// Only so many, the newest; at most 500.
    last: Option<u32>,
}

/// What is said of each, and what it may look like.
type Said = (&'static str, &'static str, &'static [&'static str]);

const REQUESTS: [Said; 6] = [
    (
        "getChats",
        "Lists the user's chats.",
        &[r#"{"type":"getChats","data":{}}"#],
    ),
    (
        "createEmptyChat",
        "Makes a chat that nobody is in.",
        &[r#"{"type":"createEmptyChat","data":{}}"#],
    ),
    (
        "joinChat",
        "Joins a chat, or moves one's mark in it.",
        &[r#"{"type":"joinChat","data":{"chat":3,"last_read_message":41}}"#],
    ),
    (
        "getChatDetails",
        "Reads who is in a chat.",
        &[r#"{"type":"getChatDetails","data":{"chatId":3}}"#],
    ),
    (
        "newMessage",
        "Says something in a chat.",
        &[r#"{"type":"newMessage","data":{"chat":3,"text":"hello","client_msg_id":"key"}}"#],
    ),
    (
        "getChatMessages",
        "Lists what was said in a chat, the newest 500 at most.",
        &[r#"{"type":"getChatMessages","data":{"chatId":3,"date_from":"yesterday","last":10}}"#],
    ),
];

const FRAMES: [Said; 6] = [
    (
        "chatsList",
        "Answers `getChats`.",
        &[include_str!("golden/chats.json")],
    ),
    (
        "emptyChatCreated",
        "Answers `createEmptyChat`.",
        &[include_str!("golden/empty_chat.json")],
    ),
    (
        "chatJoined",
        "Answers `joinChat`, and says that somebody joined.",
        &[include_str!("golden/joined.json")],
    ),
    ("chatDetails", "Answers `getChatDetails`.", &[]),
    (
        "messageCreated",
        "Answers `newMessage`, and says that somebody said something.",
        &[include_str!("golden/pushed.json")],
    ),
    (
        "chatMessages",
        "Answers `getChatMessages`.",
        &[include_str!("golden/messages.json")],
    ),
];

/// This room's socket.
pub(in crate::dialects) fn channel() -> Channel {
    let mut schemas = Schemas::default();
    let requests = messages::<Asked>(&REQUESTS, &mut schemas);
    let mut frames = messages::<Reply>(&FRAMES, &mut schemas);
    frames.push(Message {
        name: "notice".to_owned(),
        about: "A request that was not done, or had been done before.",
        payload: schemas.of::<Notice>(),
        examples: vec![
            include_str!("golden/failure.json"),
            include_str!("golden/already.json"),
        ],
    });
    Channel {
        name: "groups",
        address: "/ws/chats/",
        about: ABOUT,
        requests,
        frames,
        schemas,
        live: true,
    }
}

/// A message for each variant of an enum, in its order.
fn messages<T: ToSchema>(said: &[Said], schemas: &mut Schemas) -> Vec<Message> {
    let variants = schemas.variants::<T>().into_iter();
    said.iter()
        .zip(variants)
        .map(|((name, about, examples), payload)| Message {
            name: (*name).to_owned(),
            about,
            payload,
            examples: examples.to_vec(),
        })
        .collect()
}
