//! What REST says, exactly as it stands on the wire: envelopes, messages, users.
//!
//! Front ends of this language were written for a server that sent whole rows, password hashes included. They get every
//! key they know, but the types here cannot hold what must not leave: such a key has one value, which is in its type.

use confab_rpc::sessions::Profile;
use confab_rpc::threads::{Entry, EntryKind};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::media;
use super::text::{self, Zone};
use crate::docs::schema;

/// `""`, whatever it was.
#[derive(Debug, Clone, Copy)]
struct Blank;

/// `null`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nothing;

/// `[]`.
#[derive(Debug, Clone, Copy)]
struct Empty;

/// `false`.
#[derive(Debug, Clone, Copy)]
struct No;

/// `true`.
#[derive(Debug, Clone, Copy)]
struct Yes;

impl Serialize for Blank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl Serialize for Nothing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl PartialSchema for Nothing {
    fn schema() -> RefOr<Schema> {
        schema::null().into()
    }
}

impl ToSchema for Nothing {}

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_seq(Some(0))?.end()
    }
}

impl Serialize for No {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(false)
    }
}

impl Serialize for Yes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

/// `{"status", "data", "entity", "message", "success"}`. Some front ends read `data`, some `entity`; both are there.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Envelope<'a, T> {
    status: &'static str,
    data: &'a T,
    entity: &'a T,
    message: Option<&'a str>,
    success: bool,
}

impl<'a, T> Envelope<'a, T> {
    pub(super) fn success(content: &'a T, message: Option<&'a str>) -> Self {
        Self {
            status: "success",
            data: content,
            entity: content,
            message,
            success: true,
        }
    }

    pub(super) fn failure(content: &'a T, message: &'a str) -> Self {
        Self {
            status: "failure",
            data: content,
            entity: content,
            message: Some(message),
            success: false,
        }
    }
}

/// A user, as somebody sees them.
#[derive(Debug, Clone, serde::Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct User<'a> {
    id: &'a str,
    #[schema(schema_with = schema::blank)]
    password: Blank,
    #[schema(schema_with = schema::null)]
    last_login: Nothing,
    gender: &'a str,
    email: &'a str,
    fullname: &'a str,
    country_code: &'a str,
    phone_number: &'a str,
    #[schema(schema_with = schema::no)]
    is_email_verified: No,
    #[schema(schema_with = schema::no)]
    is_phone_verified: No,
    #[schema(schema_with = schema::yes)]
    is_active: Yes,
    #[schema(schema_with = schema::no)]
    is_staff: No,
    #[schema(schema_with = schema::no)]
    is_admin: No,
    #[schema(schema_with = schema::no)]
    is_superuser: No,
    created_at: String,
    updated_at: String,
    account_type: &'static str,
    date_of_birth: Option<&'a str>,
    profile_photo: Option<&'a str>,
    is_profile_complete: bool,
    #[schema(schema_with = schema::empty)]
    groups: Empty,
    #[schema(schema_with = schema::empty)]
    user_permissions: Empty,
    /// Of an earlier edition of the language.
    #[schema(schema_with = schema::null)]
    profile: Nothing,
}

impl<'a> User<'a> {
    /// `viewer` sees their own address, phone number and birthday, and nobody else's.
    pub(super) fn seen_by(viewer: Uuid, profile: &'a Profile) -> Self {
        let own = is(&profile.user_id, viewer);
        let private = |field: &'a str| if own { field } else { "" };
        let filled = |field: &'a str| Some(field).filter(|field| !field.is_empty());
        Self {
            id: &profile.user_id,
            password: Blank,
            last_login: Nothing,
            gender: &profile.gender,
            email: private(&profile.email),
            fullname: &profile.fullname,
            country_code: private(&profile.country_code),
            phone_number: private(&profile.phone_number),
            is_email_verified: No,
            is_phone_verified: No,
            is_active: Yes,
            is_staff: No,
            is_admin: No,
            is_superuser: No,
            created_at: text::time(profile.created_at, Zone::Letter),
            updated_at: text::time(profile.updated_at, Zone::Letter),
            account_type: "user",
            date_of_birth: filled(private(&profile.date_of_birth)),
            profile_photo: filled(&profile.photo),
            is_profile_complete: !profile.fullname.is_empty(),
            groups: Empty,
            user_permissions: Empty,
            profile: Nothing,
        }
    }
}

/// Whether an id is this user's.
pub(super) fn is(id: &str, user: Uuid) -> bool {
    id.parse() == Ok(user)
}

/// A message, with the keys of both editions of the language.
#[derive(Debug, serde::Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(super) struct Message<'a> {
    id: i64,
    #[schema(value_type = User)]
    sender: &'a RawValue,
    #[schema(value_type = User)]
    receiver: &'a RawValue,
    attached_file_size: String,
    message: Option<&'a str>,
    updated_at: &'a str,
    created_at: &'a str,
    attached_file: Option<String>,
    message_type: &'static str,
    attached_file_name: Option<&'a str>,
    thread: i64,
    attached_profile: Option<&'a str>,
    updated: &'a str,
    created: &'a str,
    #[schema(schema_with = schema::no)]
    seen: No,
    #[schema(schema_with = schema::no)]
    deleted: No,
    seq: i64,
}

/// What was said between two people.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(super) struct Said<'a> {
    pub(super) messages: Vec<Message<'a>>,
}

/// The two people of a thread, as one of them sees them. Every message shows both, so they are rendered once.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    own_id: &'a str,
    own: Box<RawValue>,
    other: Box<RawValue>,
}

impl<'a> Pair<'a> {
    pub(super) fn seen_by(viewer: Uuid, own: &'a Profile, other: &'a Profile) -> Self {
        let shown = |profile: &'a Profile| {
            let shown = serde_json::value::to_raw_value(&User::seen_by(viewer, profile));
            // A user always becomes JSON.
            shown.unwrap_or_default()
        };
        Self {
            own_id: &own.user_id,
            own: shown(own),
            other: shown(other),
        }
    }

    /// The one who is not looking.
    pub(super) fn into_other(self) -> Box<RawValue> {
        self.other
    }

    /// A message of theirs as JSON; `None` when the entry is no message.
    pub(super) fn render(&self, entry: &Entry) -> Option<String> {
        let (message_type, message) = match entry.kind() {
            EntryKind::Text => ("text", Some(entry.content.as_str())),
            EntryKind::File => ("file", Some(entry.content.as_str())),
            EntryKind::Profile => ("user_profile", None),
            _ => return None,
        };
        let (sender, receiver) = if entry.author_id == self.own_id {
            (&self.own, &self.other)
        } else {
            (&self.other, &self.own)
        };
        let file = entry.attachments.first();
        let created = text::time(entry.created_at, Zone::Letter);
        let updated = text::time(entry.updated_at.or(entry.created_at), Zone::Letter);
        let rendered = serde_json::to_string(&Message {
            id: entry.id,
            sender,
            receiver,
            attached_file_size: text::size(file.map(|file| file.size)),
            message,
            updated_at: &updated,
            created_at: &created,
            attached_file: file.map(media::path),
            message_type,
            attached_file_name: file.map(media::title),
            thread: entry.thread,
            attached_profile: Some(entry.profile_id.as_str()).filter(|id| !id.is_empty()),
            updated: &updated,
            created: &created,
            seen: No,
            deleted: No,
            seq: entry.seq,
        });
        rendered.ok()
    }
}
