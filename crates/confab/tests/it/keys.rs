//! What a user does with API keys over HTTP, on one gateway and the other: makes them, hands them to programs, revokes
//! them; and sees what they cost.

use std::net::SocketAddr;

use confab_rpc::sessions::IssueTokenRequest;
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{OpenAiClient, Rest, Shape, Socket, System, eventually};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use uuid::Uuid;

const MODEL: &str = "gpt-4-turbo";
const DOLLAR: i64 = 1_000_000;

/// A system in which everybody needs a credential everywhere.
async fn start(shape: Shape, settings: &[(&str, &str)]) -> System {
    let token_mode = [("gateway.auth.mode", "token")];
    let settings: Vec<_> = token_mode.iter().chain(settings).copied().collect();
    System::start_with(shape, &settings).await
}

/// The first gateway and the last; there may be only one.
fn ends(system: &System) -> [SocketAddr; 2] {
    let addresses = system.addresses();
    [addresses[0], addresses[addresses.len() - 1]]
}

/// Somebody with a dollar, signed in.
async fn token(system: &System) -> String {
    let name = format!("user-{}", Uuid::now_v7().simple());
    let user = system.add_user(&name, &[4], DOLLAR).await;
    let request = IssueTokenRequest {
        user_id: user.to_string(),
        lifetime_seconds: 60,
    };
    let issued = system.sessions().issue_token(request).await.unwrap();
    issued.into_inner().token
}

/// Makes a key; gives its id and its secret.
async fn make(rest: &Rest, wanted: &Value) -> (String, String) {
    let (status, made) = rest.post("/auth/keys", wanted).await;
    assert_eq!(status, 201, "{made}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (id, secret) = (text(&made["key"]["id"]), text(&made["secret"]));
    assert!(secret.starts_with("sk-confab-"));
    assert!(secret.ends_with(made["key"]["hint"].as_str().unwrap()));
    (id, secret)
}

/// Every room that is not for programs, with a key for everything.
async fn is_refused_elsewhere(address: SocketAddr, secret: &str) {
    let rest = Rest::with_token(address, secret);
    let somebody = Uuid::now_v7();
    for path in [
        "/auth/me".to_owned(),
        "/auth/account".to_owned(),
        "/auth/keys".to_owned(),
        "/uploads/a.txt".to_owned(),
        "/chat/user/threads/".to_owned(),
        format!("/chat/messages/{somebody}/"),
        "/chat/thread/files/1/".to_owned(),
        format!("/media/chat-files/{somebody}/a.txt"),
    ] {
        let (status, body) = rest.get(&path).await;
        assert_eq!(status, 401, "GET {path}: {body}");
    }
    for path in [
        "/auth/keys",
        "/auth/ws-ticket",
        "/upload",
        "/chat/attachment/",
    ] {
        let (status, body) = rest.post(path, &json!({})).await;
        assert_eq!(status, 401, "POST {path}: {body}");
    }
    assert_eq!(rest.patch("/auth/me", &json!({})).await.0, 401);
    assert_eq!(rest.delete(&format!("/auth/keys/{somebody}")).await.0, 401);
    let bearer = format!("Bearer {secret}");
    // Each refuses in its own language.
    for (room, refusal) in [("/ws", 401), ("/ws/chat/room/", 403), ("/ws/chats/", 403)] {
        let in_query = format!("{room}?token={secret}");
        for (path, headers) in [
            (in_query.as_str(), vec![]),
            (room, vec![("authorization", bearer.as_str())]),
        ] {
            match Socket::open(address, path, &headers).await {
                Err(Error::Http(response)) => {
                    assert_eq!(response.status().as_u16(), refusal, "{room}");
                }
                Err(error) => panic!("{room}: {error}"),
                Ok(_) => panic!("{room} opens with an API key"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_used_and_revoked_on_every_gateway() {
    for shape in Shape::ENDS {
        let system = start(shape, &[]).await;
        let [here, there] = ends(&system);
        let token = token(&system).await;
        let rest = Rest::with_token(here, &token);
        let (id, secret) = make(&rest, &json!({ "name": "a program" })).await;
        let programs = [here, there].map(|address| OpenAiClient::new(address, &secret));
        for program in &programs {
            let listed = program.get("/models").await;
            assert_eq!(listed.status, 200, "{shape:?}: {}", listed.body);
            assert_eq!(listed.body["data"][0]["id"], MODEL);
        }
        is_refused_elsewhere(there, &secret).await;

        let (status, listed) = Rest::with_token(there, &token).get("/auth/keys").await;
        assert_eq!(status, 200, "{listed}");
        assert_eq!(listed["keys"][0]["id"], id.as_str());
        assert_eq!(listed["keys"][0]["name"], "a program");
        assert!(!listed.to_string().contains(&secret), "it is told once");

        let path = format!("/auth/keys/{id}");
        let stranger = Rest::with_token(there, &self::token(&system).await);
        assert_eq!(stranger.delete(&path).await.0, 404, "not the stranger's");
        assert_eq!(programs[0].get("/models").await.status, 200);
        let (status, revoked) = rest.delete(&path).await;
        assert_eq!(status, 200, "{revoked}");
        assert!(revoked["key"]["revoked_at"].is_string(), "{revoked}");
        let refused = programs[0].get("/models").await;
        assert_eq!(refused.status, 401, "at once: {}", refused.body);
        assert_eq!(refused.body["error"]["code"], "invalid_api_key");
        // What another gateway was told a moment ago stands there for half a second.
        eventually("the key is refused elsewhere", async || {
            let listed = programs[1].get("/models").await;
            (listed.status == 401).then_some(())
        })
        .await;
        assert_eq!(rest.delete(&path).await.0, 200, "as often as one likes");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_costs_is_what_its_owner_pays() {
    for shape in Shape::ENDS {
        let provider = OpenAi::start([Reply::Text(vec!["Salut"], 20, 50)]).await;
        let url = provider.url();
        let settings = [
            ("completions.providers.openai.base_url", url.as_str()),
            ("completions.providers.openai.api_key", "test-key"),
        ];
        let system = start(shape, &settings).await;
        let [here, there] = ends(&system);
        let token = token(&system).await;
        let rest = Rest::with_token(here, &token);
        let (status, before) = rest.get("/auth/account").await;
        assert_eq!(status, 200, "{before}");
        let untouched = json!({ "balance_microdollars": DOLLAR, "reserved_microdollars": 0 });
        assert_eq!(before, untouched);

        let wanted = json!({ "scopes": ["chat"], "models": [4], "budget_microdollars": 500_000 });
        let (_, secret) = make(&rest, &wanted).await;
        let program = OpenAiClient::new(there, &secret);
        assert_eq!(
            program.get("/models").await.status,
            403,
            "not in its scopes"
        );
        let question = json!({ "model": MODEL, "messages": [{ "role": "user", "content": "hi" }] });
        let answer = program.post("/chat/completions", &question).await;
        assert_eq!(answer.status, 200, "{}", answer.body);

        let balance = eventually("it is settled", async || {
            let (_, after) = rest.get("/auth/account").await;
            let balance = after["balance_microdollars"].as_i64().unwrap();
            (balance < DOLLAR && after["reserved_microdollars"] == 0).then_some(balance)
        })
        .await;
        let (_, listed) = rest.get("/auth/keys").await;
        let key = &listed["keys"][0];
        assert_eq!(key["spent_microdollars"], DOLLAR - balance, "{shape:?}");
        assert_eq!(key["budget_microdollars"], 500_000);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_profile_is_seen_through_every_gateway() {
    for shape in Shape::ENDS {
        let system = start(shape, &[]).await;
        let [here, there] = ends(&system);
        let token = token(&system).await;
        let rest = Rest::with_token(here, &token);
        let email = format!("{}@example.org", Uuid::now_v7().simple());
        let wanted = json!({ "email": email, "fullname": "Ada L.", "date_of_birth": "1985-12-10" });
        let (status, shown) = rest.patch("/auth/me", &wanted).await;
        assert_eq!(status, 200, "{shown}");
        let there = Rest::with_token(there, &token);
        assert_eq!(there.get("/auth/me").await, (200, shown.clone()));
        assert_eq!(shown["user"]["email"], email);

        // What is not named stays, and what is null is emptied.
        let (status, emptied) = there.patch("/auth/me", &json!({ "fullname": null })).await;
        assert_eq!(status, 200, "{emptied}");
        assert_eq!(emptied["user"]["email"], email);
        assert_ne!(emptied["user"]["fullname"], "Ada L.");
        assert_eq!(rest.get("/auth/me").await, (200, emptied.clone()));

        let stranger = Rest::with_token(here, &self::token(&system).await);
        let (status, refused) = stranger.patch("/auth/me", &json!({ "email": email })).await;
        assert_eq!(status, 409, "{refused}");
        let (status, refused) = rest
            .patch("/auth/me", &json!({ "date_of_birth": "soon" }))
            .await;
        assert_eq!(status, 400, "{refused}");
        assert_eq!(rest.get("/auth/me").await, (200, emptied));
        system.stop().await;
    }
}
