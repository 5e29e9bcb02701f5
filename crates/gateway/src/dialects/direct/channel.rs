//! What goes over the socket, as it is documented. What is read is a little more: numbers may come in digits.

use utoipa::ToSchema;
use uuid::Uuid;

use super::announce::{File, Shared, Text};
use super::request::Error;
use crate::docs::asyncapi::{Channel, Message, Schemas};

const ABOUT: &str = "Messages between two people. `action` says what a frame is. The handshake needs a credential, in open mode \
                     too, and fails with 403 without one. A message reaches all sockets of its receiver as `re_message` \
                     and all of its sender as `conf_message`, after it is stored and in the order of `seq`; `?resume=` and \
                     `?since=` bring what was missed. A request that is done is not answered apart from that.";

/// What is asked for.
#[derive(ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "only its schema is used; `Request` is what is read"
)]
#[expect(clippy::enum_variant_names, reason = "the names are the contract's")]
enum Asked {
    TextMessage {
        receiver_id: Uuid,
        /// At most 16 KiB.
        message_body: String,
        /// The same key gives the original message.
        #[schema(max_length = 255)]
        client_msg_id: Option<String>,
    },
    FileMessage {
        /// The id of an upload's message.
        chat_id: i64,
        #[schema(max_length = 255)]
        client_msg_id: Option<String>,
    },
    UserProfileMessage {
        receiver_id: Uuid,
        attached_profile_id: Uuid,
        #[schema(max_length = 255)]
        client_msg_id: Option<String>,
    },
}

/// What is said of each request, and what it may look like.
const REQUESTS: [(&str, &str, &str); 3] = [
    (
        "text_message",
        "Says something to somebody.",
        r#"{"action":"text_message","receiver_id":"75140d72-8b20-4549-885c-20599badb486","message_body":"hello there"}"#,
    ),
    (
        "file_message",
        "Announces a file that one has uploaded with `POST /chat/attachment/`.",
        r#"{"action":"file_message","chat_id":5}"#,
    ),
    (
        "user_profile_message",
        "Shares somebody's card.",
        r#"{"action":"user_profile_message","receiver_id":"75140d72-8b20-4549-885c-20599badb486","attached_profile_id":"302e305b-6e73-4f9c-bac7-551a92b106b0"}"#,
    ),
];

/// This room's socket.
pub(in crate::dialects) fn channel() -> Channel {
    let mut schemas = Schemas::default();
    let variants = schemas.variants::<Asked>();
    let requests = REQUESTS.iter().zip(variants);
    let requests = requests.map(|((name, about, example), payload)| Message {
        name: (*name).to_owned(),
        about,
        payload,
        examples: vec![example],
    });
    let requests = requests.collect();
    let frames = vec![
        Message {
            name: "text".to_owned(),
            about: "A text, for its receiver (`re_message`) or its sender (`conf_message`).",
            payload: schemas.of::<Text>(),
            examples: vec![
                include_str!("golden/re_text.json"),
                include_str!("golden/conf_text.json"),
            ],
        },
        Message {
            name: "file".to_owned(),
            about: "A file that was announced.",
            payload: schemas.of::<File>(),
            examples: vec![
                include_str!("golden/re_file.json"),
                include_str!("golden/conf_file.json"),
            ],
        },
        Message {
            name: "user_profile".to_owned(),
            about: "Somebody's card.",
            payload: schemas.of::<Shared>(),
            examples: vec![
                include_str!("golden/re_profile.json"),
                include_str!("golden/conf_profile.json"),
            ],
        },
        Message {
            name: "error".to_owned(),
            about: "A request that was refused.",
            payload: schemas.of::<Error>(),
            examples: vec![
                include_str!("golden/error.json"),
                include_str!("golden/error_json.json"),
            ],
        },
    ];
    Channel {
        name: "direct",
        address: "/ws/chat/room/",
        about: ABOUT,
        requests,
        frames,
        schemas,
        live: true,
    }
}
