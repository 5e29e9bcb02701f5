//! The AI-session front end from its start-up to its last reply, in every shape.

use confab_testkit::assistant::Client;
use confab_testkit::{Shape, System};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

const MODEL: &str = "gpt-4-turbo";
const DOLLAR: i64 = 1_000_000;

/// What the front end reads: `type` and `data`; and what a reader of the printed documentation reads: the same keys on
/// top.
fn data(reply: &Value, kind: i64) -> &Value {
    assert_eq!(reply["type"], kind, "{reply}");
    assert!(reply.get("error").is_none(), "{reply}");
    let data = &reply["data"];
    for (key, value) in data.as_object().unwrap() {
        assert_eq!(&reply[key], value, "{key} is mirrored: {reply}");
    }
    data
}

fn error(text: &str) -> Value {
    json!({ "error": text })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_from_start_up_to_deletion() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let user = system.add_user("Test User", &[4, 5, 8], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;

        // What the page sends when it opens.
        let reply = client.call(0, json!({ "user_id": user })).await;
        assert_eq!(
            data(&reply, 0),
            &json!({ "user_id": user, "username": "Test User" })
        );
        let reply = client.call(1, json!({ "user_id": user })).await;
        assert_eq!(
            data(&reply, 1),
            &json!({ "user_id": user, "session_info": [] })
        );
        let reply = client.call(5, json!({ "user_id": user })).await;
        let models = data(&reply, 5)["models"].as_array().unwrap();
        let first = models.first().unwrap().as_str().unwrap();
        assert_eq!((models.len(), first), (10, "gpt-3.5-turbo"));
        let reply = client.call(6, json!({ "user_id": user })).await;
        assert_eq!(data(&reply, 6)["balance"], 1.0);

        // A new chat, then a second message in it.
        let reply = client
            .ask(user, "NEW", MODEL, "Tell me a story about the sea")
            .await;
        let chat = data(&reply, 3);
        let session = chat["session_id"].as_str().unwrap().to_owned();
        session.parse::<Uuid>().unwrap();
        assert_eq!(chat["session_name"], "Tell me a story");
        let answer = chat["message"].as_str().unwrap().to_owned();
        assert!(answer.contains("scripted model"), "{answer}");
        let reply = client.ask(user, &session, MODEL, "And then?").await;
        assert_eq!(data(&reply, 3)["session_name"], "And then?");

        // The page is loaded again: another socket reads what was said.
        let mut reloaded = Client::connect(system.addresses()[system.addresses().len() - 1]).await;
        let reply = reloaded.call(1, json!({ "user_id": user })).await;
        assert_eq!(
            data(&reply, 1)["session_info"],
            json!([{ "session_id": session, "session_name": "Tell me a story" }])
        );
        let history = reloaded.history(user, &session).await;
        let roles: Vec<&str> = history.iter().map(|(role, _)| role.as_str()).collect();
        assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
        assert_eq!(history[0].1, "Tell me a story about the sea");
        assert_eq!(history[1].1, answer);

        // It cost something, and what it cost is in the ledger.
        let account = system.account(user).await;
        assert!(account.balance_microdollars < DOLLAR);
        assert_eq!(account.reserved_microdollars, 0);

        let gone = json!({ "user_id": user, "session_id": session });
        let reply = client.call(4, gone.clone()).await;
        assert_eq!(data(&reply, 4), &json!({ "user_id": user }));
        assert_eq!(
            client.call(4, gone).await,
            error("Unable to Delete Session")
        );
        assert_eq!(client.history(user, &session).await, []);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_text_and_the_socket_stays_open() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        let poor = system.add_user("Poor", &[4], 0).await;
        let nobody = Uuid::now_v7();
        let mut client = Client::connect(system.address()).await;
        for (sent, expected) in [
            ("not json", "JSON Parsing Error"),
            ("[1]", "JSON Parsing Error"),
            ("\"text\"", "JSON Parsing Error"),
            ("{\"type\":\"0\",\"data\":{}}", "JSON Parsing Error"),
            ("{\"data\":{}}", "Unknown Message"),
            ("{\"type\":7,\"data\":{}}", "Unknown Message"),
            ("{\"type\":-1,\"data\":{}}", "Unknown Message"),
            ("{\"type\":0}", "User Does Not Exists"),
            ("{\"type\":0,\"data\":null}", "User Does Not Exists"),
            (
                "{\"type\":0,\"data\":{\"user_id\":7}}",
                "User Does Not Exists",
            ),
            (
                "{\"type\":1,\"data\":{\"user_id\":\"x\"}}",
                "User Does Not Exists",
            ),
        ] {
            client.send(sent).await;
            assert_eq!(client.reply().await, error(expected), "{sent}");
        }
        // Ids that nobody has, each on a socket that is not bound to a user yet.
        assert_eq!(
            client.call(0, json!({ "user_id": nobody })).await,
            error("User Does Not Exists")
        );
        let reply = client.call(1, json!({ "user_id": nobody })).await;
        assert_eq!(data(&reply, 1)["session_info"], json!([]));
        assert_eq!(
            client.call(6, json!({ "user_id": nobody })).await,
            error("Unable to get balance details")
        );
        assert_eq!(
            client.ask(nobody, "NEW", MODEL, "hello").await,
            error("User Does Not Have Model Access")
        );
        let mut without = Client::connect(system.address()).await;
        assert_eq!(
            without.ask(poor, "NEW", MODEL, "hello").await,
            error("Insufficient balance")
        );
        // A user who exists, asking for what does not.
        for (model, session, expected) in [
            ("gpt-4", "NEW", "User Does Not Have Model Access"),
            ("no-such-model", "NEW", "User Does Not Have Model Access"),
            ("", "NEW", "User Does Not Have Model Access"),
            (MODEL, "not-a-uuid", "Unable to Load Session"),
            (MODEL, &Uuid::now_v7().to_string(), "Unable to Load Session"),
        ] {
            let reply = client.ask(user, session, model, "hello").await;
            assert_eq!(reply, error(expected), "{model} in {session}");
        }
        let reply = client
            .call(2, json!({ "user_id": user, "session_id": "not-a-uuid" }))
            .await;
        assert_eq!(reply, error("Unable to Load Chats"));
        assert_eq!(client.history(user, &Uuid::now_v7().to_string()).await, []);
        // Nothing of all this cost anything or left a session behind.
        assert_eq!(system.account(user).await.balance_microdollars, DOLLAR);
        let reply = client.call(1, json!({ "user_id": user })).await;
        assert_eq!(data(&reply, 1)["session_info"], json!([]));
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_sessions_are_not_there() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let alice = system.add_user("Alice", &[4], DOLLAR).await;
        let mallory = system.add_user("Mallory", &[4], DOLLAR).await;
        let mut client = Client::connect(system.address()).await;
        let reply = client.ask(alice, "NEW", MODEL, "my secret").await;
        let session = data(&reply, 3)["session_id"].as_str().unwrap().to_owned();

        let mut stranger = Client::connect(system.address()).await;
        let reply = stranger.call(0, json!({ "user_id": mallory })).await;
        data(&reply, 0);
        assert_eq!(stranger.history(mallory, &session).await, []);
        assert_eq!(
            stranger.ask(mallory, &session, MODEL, "go on").await,
            error("Unable to Load Session")
        );
        let foreign = json!({ "user_id": mallory, "session_id": session });
        assert_eq!(
            stranger.call(4, foreign).await,
            error("Unable to Delete Session")
        );
        // A socket belongs to the first user it was used for.
        assert_eq!(
            stranger.call(0, json!({ "user_id": alice })).await,
            error("User Does Not Exists")
        );
        assert_eq!(client.history(alice, &session).await.len(), 2);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_come_in_the_order_of_requests() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let mut client = Client::connect(system.address()).await;
    let ask = json!({ "type": 3, "data": {
        "user_id": user, "session_id": "NEW", "model_id": 4, "message": "first", "session_prompt": "", "file_name": "",
    }});
    client.send(&ask.to_string()).await;
    client
        .send(&json!({ "type": 1, "data": { "user_id": user } }).to_string())
        .await;
    client.send("{}").await;
    client
        .send(&json!({ "type": 6, "data": { "user_id": user } }).to_string())
        .await;

    let asked = client.reply().await;
    data(&asked, 3);
    let listed = client.reply().await;
    let sessions = data(&listed, 1)["session_info"].as_array().unwrap();
    assert_eq!(sessions.len(), 1, "a list after an ask knows its session");
    assert_eq!(client.reply().await, error("Unknown Message"));
    let balance = client.reply().await;
    assert!(data(&balance, 6)["balance"].as_f64().unwrap() < 1.0);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_asks_once() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        let request = json!({
            "user_id": user, "session_id": "NEW", "model_name": MODEL, "message": "once", "session_prompt": "",
            "file_name": "", "client_msg_id": "key-1",
        });
        let mut replies = Vec::new();
        for _ in 0..2 {
            // As after a lost connection: a socket of its own each time.
            let mut client = Client::connect(system.address()).await;
            replies.push(client.call(3, request.clone()).await);
        }
        data(&replies[0], 3);
        assert_eq!(replies[0], replies[1]);
        let charges = system.ledger(user).await.len() - 1;
        assert_eq!(charges, 1, "one charge beside the deposit");

        let mut client = Client::connect(system.address()).await;
        let mut other = request;
        other["message"] = json!("something else");
        let refused = client.call(3, other).await;
        assert!(refused["error"].is_string(), "{refused}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_sessions_are_cut_between_characters() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let mut client = Client::connect(system.address()).await;
    for (message, name) in [
        ("Short", "Short"),
        (
            "https://example.org/a/very/long/path",
            "https://example.org/",
        ),
        (
            "世界世界世界世界世界世界世界世界世界世界世界",
            "世界世界世界世界世界世界世界世界世界世界",
        ),
        ("   ", "New Chat"),
    ] {
        let reply = client.ask(user, "NEW", MODEL, message).await;
        assert_eq!(data(&reply, 3)["session_name"], name, "{message:?}");
    }
    let reply = client.call(1, json!({ "user_id": user })).await;
    let newest = &data(&reply, 1)["session_info"][0]["session_name"];
    assert_eq!(newest, "New Chat", "the newest session comes first");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_added_later_and_granted_later_works_at_once() {
    let system = System::start(Shape::Sqlite).await;
    let mut client = Client::connect(system.address()).await;
    let user = system.add_user("Late", &[], DOLLAR).await;
    assert_eq!(
        client.ask(user, "NEW", MODEL, "hello").await,
        error("User Does Not Have Model Access")
    );
    let grant = confab_rpc::sessions::GrantModelsRequest {
        user_id: user.to_string(),
        models: vec![4],
    };
    system.sessions().grant_models(grant).await.unwrap();
    let reply = client.ask(user, "NEW", MODEL, "hello").await;
    data(&reply, 3);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_too_large_are_refused_and_the_socket_lives() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let mut client = Client::connect(system.address()).await;
    client.send(&"x".repeat(64 * 1024 + 1)).await;
    let reply = client.reply().await;
    assert!(reply["error"].is_string(), "{reply}");
    let reply = client.call(0, json!({ "user_id": user })).await;
    data(&reply, 0);
    // A request in a binary frame is answered in one; an error is always text.
    let request = json!({ "type": 0, "data": { "user_id": user } }).to_string();
    client
        .send_message(Message::binary(request.into_bytes()))
        .await;
    assert!(client.message().await.is_binary());
    client.send_message(Message::binary(b"junk".to_vec())).await;
    let reply = client.message().await;
    assert!(reply.is_text());
    system.stop().await;
}
