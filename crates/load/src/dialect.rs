//! The languages of front ends, as far as a load speaks them: how a message is sent, and what a frame says.

use std::borrow::Cow;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dialect {
    /// Direct messages: a socket, and pages by HTTP
    Direct,
    /// Group chats: a socket
    Groups,
    /// AI sessions: a socket
    Assistant,
    /// Conversations over HTTP
    Conversations,
    /// OpenAI's chat completions over HTTP
    Openai,
}

/// Whom a message is for.
#[derive(Debug, Clone)]
pub(crate) enum To {
    /// A person, by id.
    Person(String),
    /// A chat, by number.
    Chat(i64),
}

/// What a frame says of an entry of a thread.
#[derive(Debug, PartialEq)]
pub(crate) struct Heard<'a> {
    /// `None`: something else than a text.
    pub(crate) text: Option<Cow<'a, str>>,
    pub(crate) thread: i64,
    pub(crate) seq: i64,
    /// Of the message.
    pub(crate) id: i64,
}

#[derive(Deserialize)]
struct DirectFrame<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow, default)]
    message_body: Option<Cow<'a, str>>,
    #[serde(default)]
    thread: i64,
    #[serde(default)]
    seq: i64,
    #[serde(default)]
    created_msg_id: i64,
}

#[derive(Deserialize)]
struct GroupsFrame<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<GroupsEntry<'a>>,
}

#[derive(Deserialize)]
struct GroupsEntry<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    /// A join repeats what the chat was called; here that is always a number.
    #[serde(default)]
    chat: i64,
    #[serde(default)]
    seq: i64,
    #[serde(default)]
    id: i64,
}

impl Dialect {
    /// Where its socket is; the languages without one have none.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Direct => "/ws/chat/room/",
            Self::Groups => "/ws/chats/",
            Self::Assistant | Self::Conversations | Self::Openai => "/ws",
        }
    }

    /// The frame that sends a text. What goes in is made by the load and holds nothing that JSON would escape.
    pub(crate) fn message(to: &To, text: &str) -> String {
        match to {
            To::Person(id) => format!(
                r#"{{"action":"text_message","receiver_id":"{id}","message_body":"{text}","client_msg_id":"{text}"}}"#
            ),
            To::Chat(number) => format!(
                r#"{{"type":"newMessage","data":{{"chat":{number},"text":"{text}","client_msg_id":"{text}"}}}}"#
            ),
        }
    }

    /// What a frame of the direct or groups dialect says; an error when it is a refusal or none of the language.
    pub(crate) fn hear(self, frame: &str) -> Result<Heard<'_>, LoadError> {
        let unexpected = || LoadError::Reply(frame.to_owned());
        if self == Self::Direct {
            let heard: DirectFrame<'_> = serde_json::from_str(frame).map_err(|_| unexpected())?;
            if heard.action == "error" {
                return Err(unexpected());
            }
            return Ok(Heard {
                text: heard.message_body,
                thread: heard.thread,
                seq: heard.seq,
                id: heard.created_msg_id,
            });
        }
        let heard: GroupsFrame<'_> = serde_json::from_str(frame).map_err(|_| unexpected())?;
        let entry = heard.data.filter(|_| heard.kind != "error");
        let entry = entry.ok_or_else(unexpected)?;
        Ok(Heard {
            text: entry.text,
            thread: entry.chat,
            seq: entry.seq,
            id: entry.id,
        })
    }
}
