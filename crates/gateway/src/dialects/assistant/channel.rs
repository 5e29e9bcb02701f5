//! What goes over the socket, as it is documented.

use serde_json::{Value, json};

use super::wire::{Data, Error, Reply};
use crate::docs::asyncapi::{Channel, Message, Schemas};

const ABOUT: &str = "AI sessions. A request is `{\"type\": n, \"data\": {…}}`, and its reply has the same `type`, with the keys of \
                     `data` repeated beside it; a failure is `{\"error\": \"text\"}`. In token mode the handshake needs a \
                     credential and fails with 401 without one; in open mode the user id in `data` is believed. Every path \
                     below `/ws/` that is no other channel's leads here as well.";

/// One type of request, and its reply.
struct Kind {
    name: &'static str,
    about: &'static str,
    examples: &'static [&'static str],
}

/// In the order of their numbers, which is the order of [`Reply`].
const KINDS: [Kind; 7] = [
    Kind {
        name: "details",
        about: "Type 0: who the user is. Takes `user_id`.",
        examples: &[include_str!("golden/details.json")],
    },
    Kind {
        name: "sessions",
        about: "Type 1: the user's sessions, the last active first. Takes `user_id`.",
        examples: &[
            include_str!("golden/sessions.json"),
            include_str!("golden/no_sessions.json"),
        ],
    },
    Kind {
        name: "chats",
        about: "Type 2: what was said in a session; `chat` is JSON in a text. Takes `user_id`, `session_id`.",
        examples: &[include_str!("golden/chats.json")],
    },
    Kind {
        name: "ask",
        about: "Type 3: a message to a model, and its answer. Takes `user_id`, `session_id` (or `NEW`), `message`, `model_name` \
                or `model_id`, `session_prompt`, `file_name` (of an upload), `client_msg_id`.",
        examples: &[include_str!("golden/ask.json")],
    },
    Kind {
        name: "delete",
        about: "Type 4: deletes a session. Takes `user_id`, `session_id`.",
        examples: &[include_str!("golden/delete.json")],
    },
    Kind {
        name: "models",
        about: "Type 5: which models there are.",
        examples: &[include_str!("golden/models.json")],
    },
    Kind {
        name: "balance",
        about: "Type 6: what the user may still spend, in US dollars. Takes `user_id`.",
        examples: &[include_str!("golden/balance.json")],
    },
];

/// This room's socket.
pub(in crate::dialects) fn channel() -> Channel {
    let mut schemas = Schemas::default();
    let data = schemas.of::<Data>();
    let requests = KINDS.iter().enumerate().map(|(number, kind)| Message {
        name: kind.name.to_owned(),
        about: kind.about,
        payload: frame(number, &data),
        examples: Vec::new(),
    });
    let requests = requests.collect();
    let replies = schemas.variants::<Reply>().into_iter().enumerate();
    let mut frames: Vec<Message> = KINDS
        .iter()
        .zip(replies)
        .map(|(kind, (number, data))| Message {
            name: format!("{}_reply", kind.name),
            about: kind.about,
            payload: reply(number, &data),
            examples: kind.examples.to_vec(),
        })
        .collect();
    frames.push(Message {
        name: "failure".to_owned(),
        about: "A request that was not done.",
        payload: schemas.of::<Error>(),
        examples: vec![include_str!("golden/failure.json")],
    });
    Channel {
        name: "assistant",
        address: "/ws",
        about: ABOUT,
        requests,
        frames,
        schemas,
        live: false,
    }
}

/// `{"type": number, "data": data}`
fn frame(number: usize, data: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["type", "data"],
        "properties": { "type": { "const": number }, "data": data },
    })
}

/// A frame, and the keys of its data beside it.
fn reply(number: usize, data: &Value) -> Value {
    json!({ "allOf": [frame(number, data), data] })
}
