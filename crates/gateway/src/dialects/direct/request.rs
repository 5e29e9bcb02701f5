//! What a client says on its socket, and how it is refused.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Text {
        receiver: Uuid,
        body: String,
    },
    /// An upload of the client's own is announced.
    File {
        chat: i64,
    },
    Profile {
        receiver: Uuid,
        profile: Uuid,
    },
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) action: Action,
    /// Not of the original language: the same key gives the original answer. Empty: none.
    pub(super) client_msg_id: String,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Json,
    Action,
    Recipient,
    Chat,
    /// No text, or one that is too long.
    Message,
    Profile,
    /// A `client_msg_id` that is too long, or came with another content before.
    Key,
    /// Nobody's fault but ours.
    Unavailable,
}

/// A refused request, and what it called itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: Refused,
    pub(super) action: Option<String>,
}

impl Refused {
    fn text(self) -> &'static str {
        match self {
            Self::Json => "Invalid JSON",
            Self::Action => "Invalid action",
            // Spelt as the front ends know it.
            Self::Recipient => "Invalid receipient",
            Self::Chat => "Invalid chat",
            Self::Message => "Invalid message",
            Self::Profile => "Invalid profile",
            Self::Key => "Invalid client_msg_id",
            Self::Unavailable => "Service unavailable",
        }
    }
}

/// A refusal on the wire.
#[derive(Serialize, ToSchema)]
pub(super) struct Error<'a> {
    /// `error`
    action: &'static str,
    message: &'static str,
    request_action: Option<&'a str>,
}

impl Refusal {
    pub(super) fn render(&self) -> String {
        let error = Error {
            action: "error",
            message: self.why.text(),
            request_action: self.action.as_deref(),
        };
        // Texts always become JSON.
        serde_json::to_string(&error).unwrap_or_default()
    }
}

impl From<Refused> for Refusal {
    fn from(why: Refused) -> Self {
        Self { why, action: None }
    }
}

/// The keys of all requests; each action uses some of them.
#[derive(serde::Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    action: Field<'a>,
    #[serde(borrow, default)]
    message_body: Field<'a>,
    #[serde(borrow, default)]
    receiver_id: Field<'a>,
    #[serde(borrow, default)]
    attached_profile_id: Field<'a>,
    #[serde(borrow, default)]
    chat_id: Field<'a>,
    #[serde(borrow, default)]
    client_msg_id: Field<'a>,
}

/// A value that is looked at only when its action needs it; of any type until then.
#[derive(Default)]
enum Field<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    #[default]
    Other,
}

impl Field<'_> {
    fn uuid(&self) -> Option<Uuid> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Integer(_) | Self::Other => None,
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Integer(integer) => Some(*integer),
            Self::Other => None,
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.into_owned()),
            Self::Integer(_) | Self::Other => None,
        }
    }
}

impl Request {
    /// Reads a message, whatever its opcode was.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Refusal> {
        let mut raw: Raw<'_> =
            serde_json::from_slice(message).map_err(|_| Refusal::from(Refused::Json))?;
        let Some(name) = std::mem::take(&mut raw.action).text() else {
            return Err(Refused::Action.into());
        };
        let action = match name.as_str() {
            "text_message" => raw.text_message(),
            "file_message" => raw
                .chat_id
                .integer()
                .map_or(Err(Refused::Chat), |chat| Ok(Action::File { chat })),
            "user_profile_message" => raw.profile_message(),
            _ => Err(Refused::Action),
        };
        match action {
            Ok(action) => Ok(Self {
                action,
                client_msg_id: raw.client_msg_id.text().unwrap_or_default(),
            }),
            Err(why) => Err(Refusal {
                why,
                action: Some(name),
            }),
        }
    }
}

impl Action {
    /// What the request called itself.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text_message",
            Self::File { .. } => "file_message",
            Self::Profile { .. } => "user_profile_message",
        }
    }
}

impl Raw<'_> {
    fn text_message(&mut self) -> Result<Action, Refused> {
        Ok(Action::Text {
            receiver: self.receiver_id.uuid().ok_or(Refused::Recipient)?,
            body: std::mem::take(&mut self.message_body)
                .text()
                .ok_or(Refused::Message)?,
        })
    }

    fn profile_message(&self) -> Result<Action, Refused> {
        Ok(Action::Profile {
            receiver: self.receiver_id.uuid().ok_or(Refused::Recipient)?,
            profile: self.attached_profile_id.uuid().ok_or(Refused::Profile)?,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Field<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Self::Value, E> {
        Ok(Field::Integer(integer))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(integer).map_or(Field::Other, Field::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
