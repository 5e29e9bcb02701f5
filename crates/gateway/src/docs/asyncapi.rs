//! The rooms' descriptions of their sockets → one document of AsyncAPI 3.0.
//!
//! It is written as AsyncAPI wants it, from where the server stands: what it *receives* is what a front end sends.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::openapi::{scope, scoped};
use crate::socket::CLOSE_CODES;

/// A socket as it is described.
pub(crate) struct Channel {
    /// What it is called, and what the names of its schemas begin with.
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
    /// For people, in Markdown.
    pub(crate) about: &'static str,
    /// What a front end may send.
    pub(crate) requests: Vec<Message>,
    /// What the server sends, asked or not.
    pub(crate) frames: Vec<Message>,
    /// The types that the messages refer to.
    pub(crate) schemas: Schemas,
    /// Whether it says what happened, and can say what was missed.
    pub(crate) live: bool,
}

/// One kind of message.
pub(crate) struct Message {
    pub(crate) name: String,
    /// For people, in Markdown.
    pub(crate) about: &'static str,
    /// The JSON Schema of its payload.
    pub(crate) payload: Value,
    /// Payloads, as JSON.
    pub(crate) examples: Vec<&'static str>,
}

/// Types by their names.
#[derive(Default)]
pub(crate) struct Schemas(Map<String, Value>);

impl Schemas {
    /// The schema of a type that is no message by itself; those it refers to are kept.
    pub(crate) fn of<T: ToSchema>(&mut self) -> Value {
        let mut referred = Vec::new();
        T::schemas(&mut referred);
        let referred = referred.into_iter();
        self.0
            .extend(referred.map(|(name, schema)| (name, value(&schema))));
        value(&T::schema())
    }

    /// The schemas of an enum's variants, in their order.
    pub(crate) fn variants<T: ToSchema>(&mut self) -> Vec<Value> {
        match self.of::<T>()["oneOf"].take() {
            Value::Array(variants) => variants,
            _ => Vec::new(),
        }
    }
}

/// What utoipa builds always becomes JSON.
fn value(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

const ABOUT: &str = "The sockets of every family of front ends; requests over HTTP are described in \
                     [openapi.json](openapi.json). A message is one text frame of JSON. An operation that *receives* is \
                     what a front end may send, one that *sends* is what comes from the server. Requests of a socket are \
                     answered in their order, and no request closes it.";

/// Puts the channels together.
pub(super) fn write(described: &[Channel]) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    for channel in described {
        let name = channel.name;
        channels.insert(name.to_owned(), write_channel(channel));
        operations.insert(
            format!("{name}.request"),
            operation("receive", name, &channel.requests),
        );
        operations.insert(
            format!("{name}.frame"),
            operation("send", name, &channel.frames),
        );
        for message in channel.requests.iter().chain(&channel.frames) {
            messages.insert(scoped(name, &message.name), write_message(message, name));
        }
        for (own, schema) in &channel.schemas.0 {
            let mut schema = schema.clone();
            scope(&mut schema, name);
            schemas.insert(scoped(name, own), schema);
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Confab",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "servers": { "local": { "host": "127.0.0.1:8000", "protocol": "ws", "description": "Where it listens by default." } },
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas, "securitySchemes": security() },
    })
}

fn write_channel(channel: &Channel) -> Value {
    let all = channel.requests.iter().chain(&channel.frames);
    let messages: Map<String, Value> = all
        .map(|it| {
            let target = format!("#/components/messages/{}", scoped(channel.name, &it.name));
            (it.name.clone(), json!({ "$ref": target }))
        })
        .collect();
    let codes: Map<String, Value> = CLOSE_CODES
        .iter()
        .map(|(code, meaning)| (code.to_string(), (*meaning).into()))
        .collect();
    json!({
        "address": channel.address,
        "title": channel.name,
        "description": channel.about,
        "messages": messages,
        "bindings": { "ws": { "method": "GET", "query": query(channel.live), "bindingVersion": "0.1.0" } },
        "x-close-codes": codes,
    })
}

/// What the address may carry.
fn query(live: bool) -> Value {
    let token = "An access token, or a ticket of `POST /auth/ws-ticket`, which is good once. Where a header can be set, \
                 `Authorization: Bearer` is better; browsers may offer the subprotocols `bearer` and the token instead.";
    let mut query = json!({ "token": { "type": "string", "description": token } });
    if live {
        query["resume"] = json!({
            "type": "string",
            "description": "What was seen last, as `thread:seq` for each thread: what was missed is sent first, in order.",
            "pattern": "^[0-9]+:[0-9]+(,[0-9]+:[0-9]+)*$",
        });
        query["since"] = json!({
            "type": "integer",
            "format": "int64",
            "description": "The id of the last message that was seen, in place of `resume`.",
        });
    }
    json!({ "type": "object", "properties": query })
}

fn operation(action: &str, channel: &str, messages: &[Message]) -> Value {
    let messages: Vec<Value> = messages
        .iter()
        .map(|it| json!({ "$ref": format!("#/channels/{channel}/messages/{}", it.name) }))
        .collect();
    let mut operation = json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "messages": messages,
    });
    if action == "receive" {
        let schemes = ["bearer", "cookie", "query"];
        operation["security"] = schemes
            .map(|it| json!({ "$ref": format!("#/components/securitySchemes/{it}") }))
            .as_slice()
            .into();
    }
    operation
}

fn write_message(message: &Message, channel: &str) -> Value {
    let mut payload = message.payload.clone();
    scope(&mut payload, channel);
    let examples: Vec<Value> = message
        .examples
        .iter()
        .filter_map(|example| serde_json::from_str(example).ok())
        .map(|payload: Value| json!({ "payload": payload }))
        .collect();
    json!({
        "name": message.name,
        "summary": message.about,
        "payload": payload,
        "examples": examples,
    })
}

fn security() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "cookie": { "type": "httpApiKey", "in": "cookie", "name": "token" },
        "query": { "type": "httpApiKey", "in": "query", "name": "token" },
    })
}
