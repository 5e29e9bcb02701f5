//! Token mode: who someone is comes from the credential alone.

use confab_rpc::sessions::IssueTokenRequest;
use confab_testkit::assistant::Client;
use confab_testkit::{Shape, System};
use reqwest::StatusCode;
use reqwest::header::SET_COOKIE;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use uuid::Uuid;

const TOKEN_MODE: &[(&str, &str)] = &[("gateway.auth.mode", "token")];

async fn token(system: &System, user: Uuid) -> String {
    let request = IssueTokenRequest {
        user_id: user.to_string(),
        lifetime_seconds: 60,
    };
    let issued = system.sessions().issue_token(request).await.unwrap();
    issued.into_inner().token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_opens_with_a_token_in_any_of_its_places() {
    for shape in Shape::ALL {
        let system = System::start_with(shape, TOKEN_MODE).await;
        let user = system.add_user("Test User", &[4], 1_000_000).await;
        let token = token(&system, user).await;
        let in_query = format!("/ws?token={token}");
        let bearer = format!("Bearer {token}");
        let cookie = format!("theme=dark; token={token}");
        let protocol = format!("bearer, {token}");
        for (path, headers) in [
            (in_query.as_str(), vec![]),
            ("/ws", vec![("authorization", bearer.as_str())]),
            ("/ws", vec![("cookie", cookie.as_str())]),
            ("/ws", vec![("sec-websocket-protocol", protocol.as_str())]),
        ] {
            let mut client = Client::open(system.address(), path, &headers)
                .await
                .unwrap();
            let reply = client.call(0, json!({ "user_id": user })).await;
            assert_eq!(reply["data"]["username"], "Test User");
            // An id that is not the caller's reads like one that does not exist.
            let other = system.add_user(&Uuid::now_v7().to_string(), &[4], 0).await;
            let reply = client.call(0, json!({ "user_id": other })).await;
            assert_eq!(reply, json!({ "error": "User Does Not Exists" }));
            let reply = client.ask(other, "NEW", "gpt-4-turbo", "hello").await;
            assert_eq!(reply, json!({ "error": "User Does Not Have Model Access" }));
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nothing_opens() {
    let system = System::start_with(Shape::Sqlite, TOKEN_MODE).await;
    let user = system.add_user("Test User", &[4], 0).await;
    let good = token(&system, user).await;
    let forged = format!("{}x", &good[..good.len() - 2]);
    for path in [
        "/ws".to_owned(),
        "/ws?token=".to_owned(),
        format!("/ws?token={forged}"),
    ] {
        let refused = Client::open(system.address(), &path, &[])
            .await
            .err()
            .unwrap();
        let Error::Http(response) = refused else {
            panic!("{path}: {refused}");
        };
        assert_eq!(response.status().as_u16(), 401, "{path}");
    }
    let client = reqwest::Client::new();
    let upload = client
        .post(system.url("/upload"))
        .body("")
        .send()
        .await
        .unwrap();
    assert_eq!(upload.status(), StatusCode::UNAUTHORIZED);
    let keys = client
        .get(system.url("/.well-known/jwks.json"))
        .send()
        .await
        .unwrap();
    let keys: serde_json::Value = keys.json().await.unwrap();
    assert_eq!(keys["keys"][0]["kty"], "OKP", "{keys}");
    assert!(
        keys["keys"][0].get("d").is_none(),
        "no private part: {keys}"
    );
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_leaves_a_cookie_for_uploads() {
    let system = System::start_with(Shape::Sqlite, TOKEN_MODE).await;
    let user = system.add_user("Test User", &[4], 1_000_000).await;
    let token = token(&system, user).await;
    let upgrade = reqwest::Client::new()
        .get(system.url(&format!("/ws?token={token}")))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .send()
        .await
        .unwrap();
    assert_eq!(upgrade.status(), StatusCode::SWITCHING_PROTOCOLS);
    let cookie = upgrade.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with(&format!("token={token}")), "{cookie}");
    assert!(cookie.contains("HttpOnly"), "{cookie}");
    system.stop().await;
}
