//! The documents are what they claim to be, and leave nothing out.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::test::{TestRequest, call_and_read_body, init_service};
use actix_web::{App, HttpRequest, HttpResponse, web};
use confab_cache::Cache;
use confab_delivery::Delivery;
use confab_rpc::Lane;
use confab_runtime::{SystemClock, Tasks};
use serde_json::{Value, json};
use tonic::transport::Endpoint;

use super::{Documents, asyncapi, openapi};
use crate::backends::Backends;
use crate::dialects::{self, Rooms};
use crate::server::{Gateway, routes};
use crate::settings::AuthMode;
use crate::tests::settings;

/// The OpenAPI Initiative's schema of such documents; where it is from and its licence are beside it.
const OPENAPI: &str = include_str!("openapi-3.1.json");

fn asyncapi() -> Value {
    asyncapi::write(&dialects::channels())
}

/// Checks a value against a schema that may refer to parts of a document.
fn check(schema: &Value, document: &Value, value: &Value, what: &str) {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors = validator.iter_errors(value);
    let errors: Vec<String> = errors
        .map(|it| format!("{it} at {}", it.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

/// Every object in a document that refers to another part of it, and to which.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter()
                .chain(fields.values().flat_map(references))
                .collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn openapi_is_what_its_authors_say_it_is() {
    let schema: Value = serde_json::from_str(OPENAPI).unwrap();
    check(&schema, &json!({}), &openapi(), "openapi.json");
}

#[test]
fn nothing_is_referred_to_that_is_not_there() {
    for document in [openapi(), asyncapi()] {
        let references = references(&document);
        assert!(!references.is_empty());
        for reference in references {
            let there = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(there.is_some(), "{reference}");
        }
    }
    let document = openapi();
    for (path, name, operation) in operations(&document) {
        let named = operation["security"].as_array().into_iter().flatten();
        for scheme in named.flat_map(|it| it.as_object().unwrap().keys()) {
            let there = &document["components"]["securitySchemes"][scheme];
            assert!(there.is_object(), "{name} {path} names {scheme}");
        }
    }
}

#[test]
fn rooms_do_not_hide_each_other() {
    let mut rooms = dialects::described();
    rooms.push(crate::health::described());
    let paths: usize = rooms.iter().map(|room| room.api.paths.paths.len()).sum();
    let document = openapi();
    assert_eq!(document["paths"].as_object().unwrap().len(), paths);
    let operations = operations(&document);
    let names: BTreeSet<&str> = operations
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), operations.len(), "{names:?}");
}

/// Path, method and description of every operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap();
            methods
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

#[test]
fn examples_of_replies_are_replies() {
    let document = openapi();
    let mut found = 0;
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let json = &response["content"]["application/json"];
            if let Some(example) = json.get("example") {
                check(
                    &json["schema"],
                    &document,
                    example,
                    &format!("{method} {path} {status}"),
                );
                found += 1;
            }
        }
    }
    let given: usize = dialects::described()
        .iter()
        .map(|room| room.examples.len())
        .sum();
    assert_eq!(found, given, "every example has its place");
}

#[test]
fn examples_of_frames_are_frames() {
    let document = asyncapi();
    let given: usize = dialects::channels()
        .iter()
        .flat_map(|channel| channel.requests.iter().chain(&channel.frames))
        .map(|message| message.examples.len())
        .sum();
    let mut found = 0;
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        for example in message["examples"].as_array().unwrap() {
            check(&message["payload"], &document, &example["payload"], name);
            found += 1;
        }
    }
    assert_eq!(found, given, "every example is JSON");
}

#[test]
fn every_message_of_a_channel_is_one_kind_of_frame() {
    let document = asyncapi();
    for channel in dialects::channels() {
        for message in &channel.frames {
            for example in &message.examples {
                let example: Value = serde_json::from_str(example).unwrap();
                let fitting = channel.frames.iter().filter(|other| {
                    let name = format!("{}.{}", channel.name, other.name);
                    let mut schema = document["components"]["messages"][&name]["payload"].clone();
                    schema["components"] = document["components"].clone();
                    jsonschema::draft202012::is_valid(&schema, &example)
                });
                let fitting: Vec<&str> = fitting.map(|it| it.name.as_str()).collect();
                assert!(fitting.contains(&message.name.as_str()), "{fitting:?}");
            }
        }
    }
}

/// A lane to a port that nobody listens on.
fn nowhere() -> Lane {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    Lane::remote(channel, Duration::from_secs(5))
}

/// What actix serves, as only its debug output tells: the pattern of every route, without the scope it is in.
async fn served() -> BTreeSet<String> {
    let settings = settings(AuthMode::Open, "127.0.0.1:0", &[]);
    let tasks = Tasks::new();
    let cache = Cache::open(&confab_cache::Settings {
        url: String::new().into(),
        timeout_ms: 100,
    });
    let cache = cache.unwrap();
    let delivery = confab_delivery::Settings {
        url: String::new().into(),
        exchange: "confab".to_owned(),
        queue_length: 100,
        prefetch: 200,
        confirm_window: 100,
        confirm_timeout_ms: 1000,
    };
    let delivery = Delivery::open(&delivery, &tasks).unwrap();
    let backends = Backends::new(nowhere(), nowhere(), nowhere(), nowhere(), nowhere());
    let clock = Arc::new(SystemClock);
    let gateway = Gateway::open(&settings, backends, &cache, &delivery, clock, tasks.clone());
    let gateway = web::Data::new(gateway.await);
    let rooms = Rooms::open(&settings, &gateway, &cache);
    let documents = Documents::write();
    let tell = |request: HttpRequest| async move {
        HttpResponse::Ok().body(format!("{:?}", request.resource_map()))
    };
    let app = App::new()
        .app_data(gateway.clone())
        .configure(|config| routes(config, &rooms, Some(&documents), &gateway))
        .default_service(web::to(tell));
    let app = init_service(app).await;
    let told = call_and_read_body(&app, TestRequest::with_uri("/nowhere").to_request()).await;
    tasks.stop(Duration::from_secs(30)).await;
    let told = String::from_utf8(told.to_vec()).unwrap();
    // `patterns: Single("/a"), is_prefix: false`, or `List(["/a", "/a/"])`; prefixes are scopes, whose routes follow.
    told.split("patterns: ")
        .filter_map(|it| it.split_once(", is_prefix: false"))
        .flat_map(|(patterns, _)| patterns.split('"'))
        .filter(|it| it.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

/// A path without the names of its parts and its final slash.
fn shape(path: &str) -> String {
    let parts = path.trim_end_matches('/').split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[actix_web::test]
async fn every_route_is_described() {
    let (openapi, asyncapi) = (openapi(), asyncapi());
    let mut described: BTreeSet<String> = openapi["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| shape(path))
        .collect();
    let channels = asyncapi["channels"].as_object().unwrap().values();
    described.extend(channels.map(|it| shape(it["address"].as_str().unwrap())));
    let own = [
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/docs/{}",
        // Of the assistant's channel.
        "/ws/{}",
    ];
    described.extend(own.map(str::to_owned));
    let served = served().await;
    assert!(served.contains("/livez"), "{served:?}");
    let served: BTreeSet<String> = served.iter().map(|path| shape(path)).collect();
    let hidden = served
        .iter()
        .filter(|route| !described.iter().any(|it| it.ends_with(*route)));
    let hidden: Vec<_> = hidden.collect();
    assert!(hidden.is_empty(), "served, not described: {hidden:?}");
    let gone = described
        .iter()
        .filter(|path| !served.iter().any(|it| path.ends_with(it)));
    let gone: Vec<_> = gone.collect();
    assert!(gone.is_empty(), "described, not served: {gone:?}");
}
