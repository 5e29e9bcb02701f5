//! The rooms' descriptions of their requests → one document of OpenAPI 3.1.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// A room as it is described.
pub(crate) struct Room {
    /// The tag of its requests, and what the names of its schemas begin with.
    pub(crate) name: &'static str,
    /// For people, in Markdown.
    pub(crate) about: &'static str,
    /// Its requests. Tags, and the room's name before those of schemas and operations, are added here.
    pub(crate) api: OpenApi,
    /// Bodies of replies.
    pub(crate) examples: &'static [Example],
}

/// The body of a reply, for instance.
pub(crate) struct Example {
    /// The operation's name in its room.
    pub(crate) operation: &'static str,
    /// Of the reply.
    pub(crate) status: &'static str,
    /// JSON.
    pub(crate) body: &'static str,
}

/// Its link is one of the page that shows it.
const ABOUT: &str = "The requests of every family of front ends; their sockets are described in \
                     [asyncapi.json](../asyncapi.json). Failures have the shape that the family's front ends know. Any \
                     request whose path is not here is answered with 404.";

/// Puts the rooms together.
pub(super) fn write(rooms: Vec<Room>) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let mut tags = Vec::new();
    for room in rooms {
        tags.push(json!({ "name": room.name, "description": room.about }));
        // What utoipa builds always becomes JSON.
        let mut api = serde_json::to_value(&room.api).unwrap_or_default();
        scope(&mut api, room.name);
        if let Value::Object(own) = api["components"]["schemas"].take() {
            let own = own.into_iter();
            schemas.extend(own.map(|(name, it)| (scoped(room.name, &name), it)));
        }
        let Value::Object(own) = api["paths"].take() else {
            continue;
        };
        for (path, mut item) in own {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                describe(operation, &room);
            }
            paths.insert(path, item);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Confab",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security() },
    })
}

fn describe(operation: &mut Value, room: &Room) {
    let own = operation["operationId"].take();
    let own = own.as_str().unwrap_or_default();
    for example in room.examples.iter().filter(|it| it.operation == own) {
        let json = operation.pointer_mut(&format!(
            "/responses/{}/content/application~1json",
            example.status
        ));
        if let Some(Value::Object(json)) = json {
            let body = serde_json::from_str(example.body).unwrap_or_default();
            json.insert("example".to_owned(), body);
        }
    }
    operation["operationId"] = format!("{}_{own}", room.name).into();
    operation["tags"] = json!([room.name]);
}

fn security() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of `POST /auth/login`, one that `confab user token` printed, or one of an issuer that is trusted.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "token",
            "description": "The same, as browsers get it from `POST /auth/login`.",
        },
        "api_key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`sk-confab-…`), as clients of OpenAI's API send it.",
        },
    })
}

/// Puts a room's name before the names of its schemas wherever one is referred to.
pub(super) fn scope(value: &mut Value, room: &str) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix(SCHEMAS) {
                            *target = format!("{SCHEMAS}{}", scoped(room, name));
                        }
                    }
                    field => scope(field, room),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| scope(item, room)),
        _ => {}
    }
}

/// Where schemas are, in both kinds of document.
const SCHEMAS: &str = "#/components/schemas/";

/// The name of a room's schema in a document.
pub(super) fn scoped(room: &str, name: &str) -> String {
    format!("{room}.{name}")
}
