//! A frame → what is asked for, and the literal texts of what is wrong with it.

use serde_json::{Map, Value};

/// Why a request is not done; the texts are part of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Json,
    UnknownType,
    Unexpected,
    NoChatId,
    ChatNotFound,
    NoText,
    Creating,
    Messages,
    Chats,
    Details,
    NewChat,
    Failed,
}

impl Refused {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Json => "Invalid JSON",
            Self::UnknownType => "Unknown message type",
            Self::Unexpected => "An unexpected error occurred",
            Self::NoChatId => "Chat ID is required.",
            Self::ChatNotFound => "Chat not found.",
            Self::NoText => "Invalid data. Chat ID and text are required.",
            Self::Creating => {
                "An error occurred while creating the message. Please try again later."
            }
            Self::Messages => {
                "An error occurred while retrieving messages. Please try again later."
            }
            Self::Chats => "An error occurred while retrieving chats. Please try again later.",
            Self::Details => {
                "An error occurred while retrieving chat details. Please try again later."
            }
            Self::NewChat => "Could not create chat. Please try again later.",
            Self::Failed => "An unexpected error occurred. Please try again later.",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    Chats,
    NewChat,
    Join {
        chat: i64,
        /// The chat as it was named, which is repeated in the reply.
        named: Value,
        /// The message and how it was named.
        last_read: Option<(i64, Value)>,
    },
    Details {
        chat: i64,
    },
    Send {
        chat: i64,
        text: String,
        is_read: bool,
        client_msg_id: String,
    },
    Messages {
        chat: i64,
        date_from: Option<Value>,
        date_to: Option<Value>,
        tz: Option<Value>,
        last: Option<u32>,
    },
}

/// The longest text of a message, in bytes.
const TEXT_BYTES: usize = 16 * 1024;

/// The longest key of a send, in bytes.
const KEY_BYTES: usize = 255;

impl Request {
    pub(super) fn parse(frame: &str) -> Result<Self, Refused> {
        let frame: Value = serde_json::from_str(frame).map_err(|_| Refused::Json)?;
        let Value::Object(mut frame) = frame else {
            return Err(Refused::Unexpected);
        };
        let data = frame.remove("data");
        let kind = frame.get("type").and_then(Value::as_str);
        match kind {
            // Whatever they carry is not looked at.
            Some("getChats") => Ok(Self::Chats),
            Some("createEmptyChat") => Ok(Self::NewChat),
            Some("joinChat") => Self::join(fields(data)?),
            Some("getChatDetails") => {
                let chat = chat_id(fields(data)?.get("chatId"))?;
                Ok(Self::Details { chat })
            }
            Some("newMessage") => Self::send(&fields(data)?),
            Some("getChatMessages") => Self::messages(fields(data)?),
            _ => Err(Refused::UnknownType),
        }
    }

    fn join(mut data: Map<String, Value>) -> Result<Self, Refused> {
        let chat = chat_id(data.get("chat"))?;
        let last_read = match data.remove("last_read_message") {
            None | Some(Value::Null) => None,
            Some(named) => Some((integer(&named).ok_or(Refused::Unexpected)?, named)),
        };
        Ok(Self::Join {
            chat,
            named: data.remove("chat").unwrap_or_default(),
            last_read,
        })
    }

    fn send(data: &Map<String, Value>) -> Result<Self, Refused> {
        let text = match data.get("text") {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) if number.as_f64() != Some(0.0) => number.to_string(),
            _ => return Err(Refused::NoText),
        };
        let chat = match data.get("chat") {
            None | Some(Value::Null) => return Err(Refused::NoText),
            Some(Value::String(chat)) if chat.is_empty() => return Err(Refused::NoText),
            Some(chat) => integer(chat).ok_or(Refused::Unexpected)?,
        };
        if chat == 0 {
            return Err(Refused::NoText);
        }
        let is_read = match data.get("is_read") {
            None => false,
            Some(Value::Bool(is_read)) => *is_read,
            Some(_) => return Err(Refused::Creating),
        };
        let client_msg_id = match data.get("client_msg_id") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(key)) if key.len() <= KEY_BYTES => key.clone(),
            Some(_) => return Err(Refused::Creating),
        };
        if text.len() > TEXT_BYTES {
            return Err(Refused::Creating);
        }
        Ok(Self::Send {
            chat,
            text,
            is_read,
            client_msg_id,
        })
    }

    fn messages(mut data: Map<String, Value>) -> Result<Self, Refused> {
        let chat = chat_id(data.get("chatId"))?;
        let last = data.get("last").and_then(integer);
        let last = last.filter(|last| *last > 0);
        Ok(Self::Messages {
            chat,
            date_from: data.remove("date_from"),
            date_to: data.remove("date_to"),
            tz: data.remove("tz"),
            last: last.map(|last| u32::try_from(last).unwrap_or(u32::MAX)),
        })
    }
}

fn fields(data: Option<Value>) -> Result<Map<String, Value>, Refused> {
    match data {
        None => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(Refused::Unexpected),
    }
}

fn chat_id(value: Option<&Value>) -> Result<i64, Refused> {
    match value {
        None | Some(Value::Null) => Err(Refused::NoChatId),
        Some(value) => integer(value).ok_or(Refused::Unexpected),
    }
}

/// A number, also one in digits.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}
