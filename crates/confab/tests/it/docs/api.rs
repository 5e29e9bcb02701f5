//! A client of one gateway that knows of it what `/openapi.json` says, and holds it to that.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use confab_testkit::System;
use reqwest::header::HeaderMap;
use reqwest::multipart::Form;
use reqwest::{Client, Method};
use serde_json::Value;

use super::schemas::Schemas;

/// The client.
pub(super) struct Api {
    document: Value,
    schemas: Schemas,
    http: Client,
    address: SocketAddr,
    /// The replies that were seen: operation and status.
    seen: RefCell<BTreeSet<String>>,
}

/// A request to make.
pub(super) struct Ask<'a> {
    api: &'a Api,
    name: String,
    method: Method,
    path: String,
    described: &'a Value,
    headers: Vec<(String, String)>,
    query: Vec<(&'static str, String)>,
    content: Content,
}

enum Content {
    Nothing,
    Json(Value),
    Form(Form),
}

/// What came back, which is as it is described.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// JSON, or a text that is none.
    pub(super) body: Value,
}

impl Api {
    /// Reads the document.
    pub(super) async fn of(system: &System) -> Self {
        let http = Client::new();
        let document = http.get(system.url("/openapi.json")).send().await;
        let document = document.unwrap().json().await.unwrap();
        Self {
            schemas: Schemas::of(&document),
            document,
            http,
            address: system.address(),
            seen: RefCell::default(),
        }
    }

    /// Every operation: method, path and description.
    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, it)| (method.as_str(), path.as_str(), it))
        })
    }

    /// The names of a room's operations that are like this.
    pub(super) fn named(&self, room: &str, like: impl Fn(&Value) -> bool) -> Vec<String> {
        let operations = self.operations().map(|(_, _, it)| it);
        let like = operations.filter(|it| it["tags"][0] == room && like(it));
        let names: Vec<String> = like
            .map(|it| it["operationId"].as_str().unwrap().to_owned())
            .collect();
        assert!(!names.is_empty(), "{room} has some");
        names
    }

    /// A request, by the name of its operation.
    pub(super) fn ask(&self, name: &str) -> Ask<'_> {
        let mut operations = self.operations();
        let found = operations.find(|(_, _, it)| it["operationId"] == name);
        let (method, path, described) = found.unwrap_or_else(|| panic!("there is no {name}"));
        Ask {
            api: self,
            name: name.to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.to_owned(),
            described,
            headers: Vec::new(),
            query: Vec::new(),
            content: Content::Nothing,
        }
    }

    /// The same at another system.
    pub(super) fn at(self, system: &System) -> Self {
        let address = system.address();
        Self { address, ..self }
    }

    /// Fails when a reply that a room describes was never seen, apart from those that are somebody else's fault, and from
    /// these.
    pub(super) fn assert_all_seen(&self, room: &str, apart_from: &[&str]) {
        let operations = self.operations().map(|(_, _, it)| it);
        let operations = operations.filter(|it| it["tags"][0] == room);
        let replies = operations.flat_map(|it| {
            let name = it["operationId"].as_str().unwrap();
            let statuses = it["responses"].as_object().unwrap().keys();
            let own = statuses.filter(|status| status.as_str() < "500");
            own.map(move |status| format!("{name} {status}"))
        });
        let (apart, mut rest): (Vec<_>, Vec<_>) =
            replies.partition(|it| apart_from.contains(&it.as_str()));
        assert_eq!(
            apart.len(),
            apart_from.len(),
            "{apart_from:?} are described"
        );
        rest.retain(|it| !self.seen.borrow().contains(it));
        assert!(rest.is_empty(), "never seen: {rest:#?}");
    }
}

/// Whether an operation may be answered with this status.
pub(super) fn says(status: &'static str) -> impl Fn(&Value) -> bool {
    move |described| described["responses"][status].is_object()
}

/// Whether an operation takes a credential.
pub(super) fn is_guarded(described: &Value) -> bool {
    described["security"].is_array()
}

impl Ask<'_> {
    /// A part of the path.
    pub(super) fn at(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        let part = format!("{{{name}}}");
        assert!(self.path.contains(&part), "{} has {part}", self.name);
        self.path = self.path.replace(&part, &value.to_string());
        self
    }

    /// The parts of the path that have no value yet: this one.
    pub(super) fn anywhere(mut self, value: &str) -> Self {
        while let Some((before, rest)) = self.path.split_once('{') {
            let (_, after) = rest.split_once('}').unwrap();
            self.path = format!("{before}{value}{after}");
        }
        self
    }

    /// A parameter of the query.
    pub(super) fn query(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.assert_described("query", name);
        self.query.push((name, value.to_string()));
        self
    }

    /// A header of the operation's own.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.assert_described("header", name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn assert_described(&self, place: &str, name: &str) {
        let mut parameters = self.described["parameters"].as_array().unwrap().iter();
        let there = parameters.any(|it| it["in"] == place && it["name"] == name);
        assert!(there, "{} takes {name}", self.name);
    }

    /// A token or API key.
    pub(super) fn bearer(mut self, token: &str) -> Self {
        let value = format!("Bearer {token}");
        self.headers.push(("Authorization".to_owned(), value));
        self
    }

    /// The page that it comes from.
    pub(super) fn on_page(mut self, origin: &str) -> Self {
        self.headers.push(("Origin".to_owned(), origin.to_owned()));
        self
    }

    pub(super) fn json(mut self, body: Value) -> Self {
        self.content = Content::Json(body);
        self
    }

    pub(super) fn form(mut self, form: Form) -> Self {
        self.content = Content::Form(form);
        self
    }

    /// Makes the request, which gives this status.
    pub(super) async fn gives(self, status: u16) -> Reply {
        let name = self.name.clone();
        let reply = self.reply().await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        reply
    }

    /// Makes the request.
    pub(super) async fn reply(self) -> Reply {
        let Self { api, path, .. } = self;
        assert!(!path.contains('{'), "{path} has all its parts");
        let url = format!("http://{}{path}", api.address);
        let mut request = api.http.request(self.method, url).query(&self.query);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let mut sent = None;
        let request = match self.content {
            Content::Nothing => request,
            Content::Json(body) => request.json(sent.insert(body)),
            Content::Form(form) => request.multipart(form),
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        let what = format!("{} {status}", self.name);
        let documented = &self.described["responses"][status.to_string()];
        assert!(documented.is_object(), "{what} is described: {text}");
        api.seen.borrow_mut().insert(what.clone());
        if let Some(sent) = sent.filter(|_| status < 400) {
            let taken = &self.described["requestBody"]["content"]["application/json"];
            api.check(&taken["schema"], &sent, &format!("body of {what}"));
        }
        let body = api.read(&documented["content"], &headers, text, &what);
        Reply {
            status,
            headers,
            body,
        }
    }
}

impl Api {
    fn check(&self, schema: &Value, value: &Value, what: &str) {
        let faults = self.schemas.faults(schema, value);
        assert!(faults.is_empty(), "{what}: {faults:#?}\n{value:#}");
    }

    /// Reads a body that is described like this.
    fn read(&self, described: &Value, headers: &HeaderMap, text: String, what: &str) -> Value {
        let Some(kinds) = described.as_object() else {
            assert_eq!(text, "", "{what} has no body");
            return Value::Null;
        };
        let kind = headers["content-type"].to_str().unwrap();
        let kind = kind.split(';').next().unwrap_or_default();
        let Some(schema) = kinds.get(kind).map(|it| &it["schema"]) else {
            assert!(kinds.contains_key("*/*"), "{what} is never {kind}: {text}");
            return Value::String(text);
        };
        if kind == "text/event-stream" && schema["type"] != "string" {
            for event in events(&text) {
                self.check(schema, &event, what);
            }
        }
        let body = if kind.ends_with("json") {
            serde_json::from_str(&text).unwrap()
        } else {
            Value::String(text)
        };
        if kind != "text/event-stream" {
            self.check(schema, &body, what);
        }
        body
    }
}

/// What the events of a stream say, without the word that ends it.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let said = data.filter(|data| *data != "[DONE]");
    let said: Vec<Value> = said.map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(!said.is_empty(), "a stream says something: {text}");
    said
}
