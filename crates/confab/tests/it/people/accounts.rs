//! Signing up, in and out; tokens that are rotated; and sockets that end with the session they belong to.

use confab_testkit::people::Person;
use confab_testkit::{Rest, Shape, System, direct, groups};
use serde_json::{Value, json};
use uuid::Uuid;

use super::gateway;

const PASSWORD: &str = "correct horse battery staple";
const REVOKED: u16 = 4003;

struct SignedIn {
    person: Person,
    refresh: String,
}

async fn register(rest: &Rest) -> String {
    let username = format!("user-{}", Uuid::now_v7().simple());
    let body = json!({ "username": username, "password": PASSWORD, "fullname": "Some Body" });
    let (status, body) = rest.post("/auth/register", &body).await;
    assert_eq!(status, 201, "{body}");
    assert!(!body.to_string().contains(PASSWORD), "no secret comes back");
    username
}

async fn sign_in(rest: &Rest, username: &str) -> SignedIn {
    let body = json!({ "username": username, "password": PASSWORD });
    let (status, body) = rest.post("/auth/login", &body).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["token"], body["access"]);
    assert_eq!(body["refresh_token"], body["refresh"]);
    assert!(body["expires_in"].is_u64(), "{body}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    SignedIn {
        person: Person {
            id: text(&body["user"]["id"]).parse().unwrap(),
            number: body["user"]["number"].as_i64().unwrap(),
            username: text(&body["user"]["username"]),
            token: text(&body["access"]),
        },
        refresh: text(&body["refresh"]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_sockets_of_that_session_on_every_gateway() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let rest = Rest::anonymous(system.address());
        let username = register(&rest).await;
        let (here, there) = (
            sign_in(&rest, &username).await,
            sign_in(&rest, &username).await,
        );
        let mut ending = direct::Client::connect(gateway(&system, 0), &here.person).await;
        let mut ending_too = groups::Client::connect(gateway(&system, 1), &here.person).await;
        let mut staying = direct::Client::connect(gateway(&system, 1), &there.person).await;
        let signed = Rest::with_token(system.address(), &here.person.token);
        let (status, body) = signed
            .post("/auth/logout", &json!({ "refresh": here.refresh }))
            .await;
        assert!((200..300).contains(&status), "{status} {body}");
        assert_eq!(ending.socket.closed().await, Some(REVOKED), "{shape:?}");
        assert_eq!(ending_too.socket.closed().await, Some(REVOKED), "{shape:?}");
        let (status, _) = rest
            .post("/auth/refresh", &json!({ "refresh": here.refresh }))
            .await;
        assert_eq!(status, 401);
        let other = system.person("other").await;
        staying.say(other.id, "still here").await;
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_gives_new_tokens_and_a_socket_stays() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let rest = Rest::anonymous(system.address());
        let username = register(&rest).await;
        let signed = sign_in(&rest, &username).await;
        let mut socket = direct::Client::connect(gateway(&system, 1), &signed.person).await;
        let (status, body) = rest
            .post("/auth/refresh", &json!({ "refresh": signed.refresh }))
            .await;
        assert_eq!(status, 200, "{body}");
        assert_ne!(body["refresh"], signed.refresh);
        let access = body["access"].as_str().unwrap();
        let (status, me) = Rest::with_token(system.address(), access)
            .get("/auth/me")
            .await;
        assert_eq!(status, 200, "{me}");
        assert!(me.to_string().contains(&username), "{me}");
        let other = system.person("other").await;
        socket.say(other.id, "rotation drops nothing").await;
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_all_read_alike() {
    let system = System::start(Shape::Sqlite).await;
    let rest = Rest::anonymous(system.address());
    let username = register(&rest).await;
    let login = async |username: &str, password: &str| {
        let body = json!({ "username": username, "password": password });
        rest.post("/auth/login", &body).await
    };
    let wrong = login(&username, "not the password").await;
    let unknown = login("nobody of this name", PASSWORD).await;
    assert_eq!(wrong.0, 401, "{wrong:?}");
    assert_eq!(wrong, unknown);
    let again = json!({ "username": username, "password": PASSWORD });
    let (status, _) = rest.post("/auth/register", &again).await;
    assert_eq!(status, 409);
    let short = json!({ "username": "short", "password": "1234567" });
    let (status, _) = rest.post("/auth/register", &short).await;
    assert_eq!(status, 400);
    for path in ["/auth/me"] {
        assert_eq!(rest.get(path).await.0, 401, "{path}");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_socket() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let person = system.person("ann").await;
        let (status, body) = system
            .rest(&person)
            .post("/auth/ws-ticket", &json!({}))
            .await;
        assert_eq!(status, 200, "{body}");
        let ticketed = Person {
            token: body["ticket"].as_str().unwrap().to_owned(),
            ..person
        };
        let from = confab_testkit::people::From::Now;
        let room = confab_testkit::people::Dialect::Direct;
        let first = confab_testkit::people::open(gateway(&system, 0), room, &ticketed, &from).await;
        first.unwrap();
        let again = confab_testkit::people::open(gateway(&system, 1), room, &ticketed, &from).await;
        assert!(again.is_err(), "a ticket is good once");
        system.stop().await;
    }
}
