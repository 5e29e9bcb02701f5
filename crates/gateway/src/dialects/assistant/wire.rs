//! The language of the assistant front end, exactly as it is on the wire.
//!
//! A request is `{"type": n, "data": {…}}`. A reply is `{"type": n, "data": {…}}` with the keys of `data` repeated beside
//! it, for clients that read the documented bare object; it never has a key `error`, whose presence alone means failure
//! to the front end. A failure is `{"error": "text"}`.

use confab_rpc::completions::ask_request::Model;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fault::Failure;

/// What is asked for, by the number in `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Details = 0,
    Sessions = 1,
    Chats = 2,
    Ask = 3,
    Delete = 4,
    Models = 5,
    Balance = 6,
}

impl Kind {
    fn of(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Details,
            1 => Self::Sessions,
            2 => Self::Chats,
            3 => Self::Ask,
            4 => Self::Delete,
            5 => Self::Models,
            6 => Self::Balance,
            _ => return None,
        })
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    pub(super) data: Data,
}

/// What requests carry; each type uses some of it. What is missing, `null` or of another type is empty, and NUL, which
/// no text column holds, is dropped: the request then fails with its ordinary error, if at all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Data {
    #[serde(deserialize_with = "text")]
    pub(super) user_id: String,
    #[serde(deserialize_with = "text")]
    pub(super) session_id: String,
    #[serde(deserialize_with = "text")]
    pub(super) message: String,
    #[serde(deserialize_with = "text")]
    pub(super) session_prompt: String,
    #[serde(deserialize_with = "text")]
    pub(super) file_name: String,
    /// Not of the original front end: the same key gives the original answer.
    #[serde(deserialize_with = "text")]
    pub(super) client_msg_id: String,
    #[serde(deserialize_with = "text")]
    model_name: String,
    /// A number, or one in digits.
    model_id: Value,
}

impl Request {
    /// Reads a message. Only an object with an integer `type` is a request at all.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Failure> {
        let Ok(Value::Object(mut request)) = serde_json::from_slice(message) else {
            return Err(Failure::JsonParsing);
        };
        let kind = match request.get("type") {
            None | Some(Value::Null) => return Err(Failure::UnknownMessage),
            Some(kind) => kind.as_i64().ok_or(Failure::JsonParsing)?,
        };
        let kind = Kind::of(kind).ok_or(Failure::UnknownMessage)?;
        let data = match request.remove("data") {
            Some(data @ Value::Object(_)) => Data::deserialize(data).unwrap_or_default(),
            _ => Data::default(),
        };
        Ok(Self { kind, data })
    }
}

impl Data {
    /// The model that the request names; `None` when it names none.
    pub(super) fn model(&self) -> Option<Model> {
        let id = match &self.model_id {
            Value::Number(id) => id.to_string(),
            Value::String(id) => id.clone(),
            _ => String::new(),
        };
        model(&self.model_name, &id)
    }
}

/// A model by name, or by the number that older front ends send; the name wins.
pub(super) fn model(name: &str, id: &str) -> Option<Model> {
    if !name.is_empty() {
        return Some(Model::ModelName(name.to_owned()));
    }
    id.trim().parse().ok().map(Model::ModelId)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if text.contains('\0') => text.replace('\0', ""),
        Value::String(text) => text,
        _ => String::new(),
    })
}

/// The `data` of a reply.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Reply {
    Details {
        user_id: String,
        username: String,
    },
    Sessions {
        user_id: String,
        session_info: Vec<Session>,
    },
    Chats {
        user_id: String,
        session_id: String,
        /// JSON in a text.
        chat: String,
    },
    Ask {
        user_id: String,
        session_id: String,
        session_name: String,
        message: String,
    },
    Delete {
        user_id: String,
    },
    Models {
        models: Vec<String>,
    },
    Balance {
        /// US dollars.
        balance: f64,
    },
}

/// One line of the session list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    pub(super) session_id: String,
    pub(super) session_name: String,
}

/// One entry of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    pub(super) role: Role,
    pub(super) content: String,
}

/// Whose entry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
    File,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: u8,
    data: &'a Reply,
    #[serde(flatten)]
    mirrored: &'a Reply,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Error<'a> {
    error: &'a str,
}

impl Reply {
    /// The reply as text.
    pub(super) fn render(&self, kind: Kind) -> Result<String, Failure> {
        let envelope = Envelope {
            kind: kind as u8,
            data: self,
            mirrored: self,
        };
        serde_json::to_string(&envelope).map_err(|_| Failure::JsonMarshal)
    }
}

impl Failure {
    /// The failure as text.
    pub(super) fn render(self) -> String {
        let error = Error { error: self.text() };
        // A text always becomes JSON.
        serde_json::to_string(&error).unwrap_or_default()
    }
}
