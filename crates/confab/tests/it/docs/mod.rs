//! What the API says of itself is so: requests are made as `/openapi.json` describes them, and replies and frames are read
//! with its schemas and those of `/asyncapi.json`, which allow here nothing that they do not name.

mod account;
mod api;
mod assistant;
mod conversations;
mod direct;
mod openai;
mod operations;
mod schemas;
mod serving;
mod sockets;

use confab_rpc::sessions::{CreateApiKeyRequest, IssueTokenRequest};
use confab_testkit::System;
use reqwest::multipart::{Form, Part};
use uuid::Uuid;

use api::Ask;

const DOLLAR: i64 = 1_000_000;
/// A page that may not connect.
const ELSEWHERE: &str = "http://evil.example";
const PASSWORD: &str = "correct horse battery staple";
/// The content of a file.
const TEXT: &str = "The quick brown fox.\n";
const TOKEN_MODE: (&str, &str) = ("gateway.auth.mode", "token");

async fn token(system: &System, user: Uuid) -> String {
    let request = IssueTokenRequest {
        user_id: user.to_string(),
        lifetime_seconds: 3600,
    };
    let issued = system.sessions().issue_token(request).await;
    issued.unwrap().into_inner().token
}

/// Makes an API key; without scopes it is good for everything.
async fn key(system: &System, user: Uuid, scopes: &[&str]) -> String {
    let request = CreateApiKeyRequest {
        user_id: user.to_string(),
        name: "test".to_owned(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        ..CreateApiKeyRequest::default()
    };
    let made = system.sessions().create_api_key(request).await;
    made.unwrap().into_inner().secret
}

/// A form with a file.
fn form(field: &'static str, bytes: impl Into<Vec<u8>>) -> Form {
    let part = Part::bytes(bytes.into()).file_name("notes.txt");
    Form::new().part(field, part.mime_str("text/plain").unwrap())
}

/// Reads a file, which is [`TEXT`], in every way there is.
async fn assert_file<'a>(ask: &impl Fn() -> Ask<'a>, token: &str) {
    let signed_in = || ask().bearer(token);
    let whole = signed_in().gives(200).await;
    assert_eq!(whole.body, TEXT);
    let part = signed_in().header("Range", "bytes=4-8");
    assert_eq!(part.gives(206).await.body, "quick");
    let tag = whole.headers["etag"].to_str().unwrap();
    let known = signed_in().header("If-None-Match", tag);
    known.gives(304).await;
    let beyond = signed_in().header("Range", "bytes=1000-");
    beyond.gives(416).await;
    let other = signed_in().header("Range", "bytes=4-8");
    let other = other.header("If-Range", "\"another version\"");
    assert_eq!(other.gives(200).await.body, TEXT);
    ask().gives(401).await;
    let expired = ask().query("expires", &1).query("signature", "none");
    expired.gives(403).await;
}
