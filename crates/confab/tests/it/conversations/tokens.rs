//! Token mode: everybody has their own, and everybody else's reads like none.

use confab_rpc::sessions::{DepositRequest, GrantModelsRequest};
use confab_testkit::conversations::{Client, read_stream, shown};
use confab_testkit::{Shape, System};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{SLOW, id_of};

const PASSWORD: &str = "correct horse battery staple";

async fn sign_in(system: &System, username: &str) -> (i64, Client) {
    let nobody = Client::new(system.address());
    let credentials = json!({ "username": username, "password": PASSWORD });
    let (status, user) = nobody.post("/users", &credentials).await;
    assert_eq!(status, 201, "{user}");
    assert!(!user.to_string().contains(PASSWORD));
    let (status, signed_in) = nobody.post("/login", &credentials).await;
    assert_eq!(status, 200, "{signed_in}");
    let token = signed_in["token"].as_str().unwrap();
    let number = user["id"].as_i64().unwrap();
    (number, Client::with_token(system.address(), token))
}

/// Registration gives nothing.
async fn endow(system: &System, number: i64) {
    let user_id = id_of(system, number).await.to_string();
    let grant = GrantModelsRequest {
        user_id: user_id.clone(),
        models: vec![4],
    };
    system.sessions().grant_models(grant).await.unwrap();
    let deposit = DepositRequest {
        user_id,
        amount_microdollars: 1_000_000,
        key: "test".to_owned(),
    };
    system.sessions().deposit(deposit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_their_own() {
    let settings = [("gateway.auth.mode", "token")];
    for shape in Shape::ENDS {
        let system = System::start_with(shape, &settings).await;
        let (ann, anns) = sign_in(&system, "ann").await;
        let (bob, bobs) = sign_in(&system, "bob").await;
        endow(&system, ann).await;
        let conversation = anns.conversation(ann).await;
        let message = anns.say(conversation, "for me alone").await;
        let streamed = anns.stream(conversation).await;
        assert!(shown(&streamed.chunks).1);
        let run = format!("/conversations/{conversation}/runs/{}", streamed.run);

        let (_, listed) = bobs.get("/users").await;
        assert_eq!(listed, json!([{ "id": bob, "username": "bob" }]));
        for path in ["/conversations", "/messages"] {
            assert_eq!(bobs.get(path).await, (200, json!([])), "{path}");
        }
        let thread = format!("/conversations/{conversation}");
        let own = format!("/conversations/{conversation}/messages");
        let words = json!({ "role": "user", "content": "x" });
        let theirs: [(Method, String, Option<Value>); 12] = [
            (Method::GET, "/users/ann".into(), None),
            (Method::GET, format!("/users/{ann}"), None),
            (Method::GET, format!("/users/{ann}/conversations"), None),
            (Method::GET, format!("/users/{ann}/search?q=me"), None),
            (
                Method::POST,
                "/conversations".into(),
                Some(json!({ "title": "x", "user_id": ann })),
            ),
            (Method::GET, own.clone(), None),
            (Method::POST, own.clone(), Some(words)),
            (Method::POST, format!("{own}:complete"), Some(json!({}))),
            (Method::GET, format!("/messages/{message}"), None),
            (Method::DELETE, format!("/messages/{message}"), None),
            (Method::DELETE, thread, None),
            (Method::GET, run, None),
        ];
        for (method, path, body) in theirs {
            let (status, told) = bobs.call(method.clone(), &path, body.as_ref()).await;
            assert_eq!(status, 404, "{method} {path}: {told}");
            let nobody = Client::new(system.address());
            let (status, _) = nobody.call(method.clone(), &path, body.as_ref()).await;
            assert_eq!(status, 401, "{method} {path}");
        }
        assert_eq!(anns.history(conversation).await.len(), 2);
        // Who has proved who it is need not be named.
        let (status, begun) = bobs.post("/conversations", &json!({ "title": "x" })).await;
        assert_eq!((status, &begun["user_id"]), (201, &json!(bob)));
        let weak = json!({ "username": "eve", "password": "secret" });
        let nobody = Client::new(system.address());
        let (status, told) = nobody.post("/users", &weak).await;
        assert_eq!(status, 400);
        assert!(!told.to_string().contains("secret"), "{told}");
        system.stop().await;
    }
}

/// Things that a request can name.
#[derive(Clone, Copy)]
struct Named {
    user: i64,
    conversation: i64,
    message: i64,
    run: Uuid,
}

/// What there never was.
const NOTHING: Named = Named {
    user: 999_999,
    conversation: 999_999,
    message: 999_999,
    run: Uuid::from_u128(7),
};

/// Every request that names them; the caller's own conversation is `own`.
fn requests(own: i64, named: Named) -> Vec<(Method, String, Value)> {
    let Named {
        user,
        conversation,
        message,
        run,
    } = named;
    let thread = format!("/conversations/{conversation}");
    let of_thread = format!("{thread}/runs/{run}");
    let of_own = format!("/conversations/{own}/runs/{run}");
    let elsewhere = json!({ "query": "me", "conversation_id": conversation });
    let words = json!({ "role": "user", "content": "x", "conversation_id": conversation });
    let nothing = || json!({});
    vec![
        (Method::GET, thread.clone(), nothing()),
        (Method::PATCH, thread.clone(), json!({ "title": "mine" })),
        (Method::DELETE, thread.clone(), nothing()),
        (
            Method::POST,
            format!("{thread}/messages:complete"),
            nothing(),
        ),
        (Method::POST, "/messages".into(), words),
        (Method::GET, format!("/messages/{message}"), nothing()),
        (Method::DELETE, format!("/messages/{message}"), nothing()),
        (
            Method::POST,
            "/search".into(),
            json!({ "user_id": user, "query": "me" }),
        ),
        (Method::POST, "/search".into(), elsewhere),
        (Method::GET, of_thread.clone(), nothing()),
        (Method::GET, format!("{of_thread}/stream"), nothing()),
        (Method::POST, format!("{of_thread}/cancel"), nothing()),
        (Method::GET, of_own.clone(), nothing()),
        (Method::GET, format!("{of_own}/stream"), nothing()),
        (Method::POST, format!("{of_own}/cancel"), nothing()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_refused_like_what_there_never_was() {
    for shape in Shape::ENDS {
        let system = System::start_with(shape, &[("gateway.auth.mode", "token"), SLOW]).await;
        let (ann, anns) = sign_in(&system, "ann").await;
        let (bob, bobs) = sign_in(&system, "bob").await;
        endow(&system, ann).await;
        let own = bobs.conversation(bob).await;
        let conversation = anns.conversation(ann).await;
        let message = anns.say(conversation, &"for me alone ".repeat(10)).await;
        let streaming = anns.open(conversation, None).await;
        let run = streaming.headers()["x-run-id"].to_str().unwrap().parse();
        let theirs = Named {
            user: ann,
            conversation,
            message,
            run: run.unwrap(),
        };
        let pairs = requests(own, theirs)
            .into_iter()
            .zip(requests(own, NOTHING));
        for ((method, path, body), (_, nowhere, about)) in pairs {
            let refused = bobs.call(method.clone(), &path, Some(&body)).await;
            assert_eq!(refused.0, 404, "{method} {path}: {}", refused.1);
            assert_eq!(refused.1["error"]["type"], "Error", "{method} {path}");
            let none = bobs.call(method.clone(), &nowhere, Some(&about)).await;
            assert_eq!(refused, none, "{method} {path}");
        }
        // Nothing of it has happened: not even the run was stopped.
        let (text, whole) = shown(&read_stream(streaming).await.chunks);
        assert!(whole);
        assert_eq!(anns.history(conversation).await[1].1, text);
        let (_, kept) = anns.get(&format!("/conversations/{conversation}")).await;
        assert_eq!(kept["title"], "Nouvelle conversation");
        system.stop().await;
    }
}
