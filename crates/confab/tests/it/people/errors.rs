//! Every error that the two dialects have words for. The socket stays open after each.

use confab_testkit::{Shape, System, direct, groups};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

const UNEXPECTED: &str = "An unexpected error occurred";
const CHAT_ID: &str = "Chat ID is required.";
const NOT_FOUND: &str = "Chat not found.";
const TEXT: &str = "Invalid data. Chat ID and text are required.";
const CREATING: &str = "An error occurred while creating the message. Please try again later.";
const RETRIEVING: &str = "An error occurred while retrieving messages. Please try again later.";

#[tokio::test(flavor = "multi_thread")]
async fn groups_answers_in_its_own_words() {
    let system = System::start(Shape::Sqlite).await;
    let ann = system.person("ann").await;
    let mut client = groups::Client::connect(system.address(), &ann).await;
    let chat = client.create().await;
    client.join(chat).await;
    let request = |kind: &str, data: Value| json!({ "type": kind, "data": data }).to_string();
    let unknown = 999_999_999;
    for (frame, text) in [
        ("not json".to_owned(), "Invalid JSON"),
        ("{\"type\":".to_owned(), "Invalid JSON"),
        (
            json!({ "type": "nonsense" }).to_string(),
            "Unknown message type",
        ),
        (json!({ "data": {} }).to_string(), "Unknown message type"),
        (json!([]).to_string(), UNEXPECTED),
        (json!("getChats").to_string(), UNEXPECTED),
        (request("joinChat", json!(null)), UNEXPECTED),
        (request("getChatDetails", json!(null)), UNEXPECTED),
        (request("joinChat", json!({})), CHAT_ID),
        (request("getChatDetails", json!({})), CHAT_ID),
        (request("getChatMessages", json!({})), CHAT_ID),
        (request("joinChat", json!({ "chat": "x" })), UNEXPECTED),
        (
            request("getChatDetails", json!({ "chatId": "x" })),
            UNEXPECTED,
        ),
        (
            request("getChatMessages", json!({ "chatId": [] })),
            UNEXPECTED,
        ),
        (request("joinChat", json!({ "chat": unknown })), NOT_FOUND),
        (
            request("getChatDetails", json!({ "chatId": unknown })),
            NOT_FOUND,
        ),
        (
            request("getChatMessages", json!({ "chatId": unknown })),
            NOT_FOUND,
        ),
        (
            request("newMessage", json!({ "chat": unknown, "text": "x" })),
            NOT_FOUND,
        ),
        (request("newMessage", json!({ "text": "x" })), TEXT),
        (request("newMessage", json!({ "chat": chat })), TEXT),
        (
            request("newMessage", json!({ "chat": chat, "text": "" })),
            TEXT,
        ),
        (
            request(
                "newMessage",
                json!({ "chat": chat, "text": "x", "is_read": "maybe" }),
            ),
            CREATING,
        ),
        (
            request(
                "getChatMessages",
                json!({ "chatId": chat, "date_from": "2026-13-01" }),
            ),
            RETRIEVING,
        ),
        (
            request("getChatMessages", json!({ "chatId": chat, "date_to": 7 })),
            RETRIEVING,
        ),
    ] {
        client.socket.send_text(&frame).await;
        let reply = client.socket.frame().await;
        assert_eq!(
            reply,
            json!({ "type": "error", "message": text }),
            "{frame}"
        );
    }
    // Ignored, so the next frame is the answer to the next request.
    client.socket.send(Message::binary(vec![0, 159])).await;
    assert_eq!(client.texts(chat).await, Vec::<String>::new());
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_takes_what_the_original_took() {
    let system = System::start(Shape::Sqlite).await;
    let ann = system.person("ann").await;
    let mut client = groups::Client::connect(system.address(), &ann).await;
    let chat = client.create().await;
    // The creator sees an empty chat; ids may be texts of digits, and come back as they were.
    let details = json!({ "chatId": chat.to_string() });
    let details = client.call("getChatDetails", details).await.unwrap();
    assert_eq!(details["participants"], json!([]));
    let joined = json!({ "chat": chat.to_string() });
    let joined = client.call("joinChat", joined).await.unwrap();
    assert_eq!(joined["chat"], chat.to_string());
    assert!(joined.get("last_read_message").is_none(), "{joined}");
    let number = json!({ "chat": chat, "text": 42 });
    client
        .socket
        .send_json(&json!({ "type": "newMessage", "data": number }))
        .await;
    let reply = client.socket.frame().await;
    assert_eq!(reply["data"]["text"], "42", "{reply}");
    assert_eq!(reply["data"]["is_read"], false);
    client.say(chat, "second").await;
    client.say(chat, "third").await;
    for (more, texts) in [
        (json!({}), vec!["42", "second", "third"]),
        (json!({ "last": 2 }), vec!["third", "second"]),
        (json!({ "last": "1" }), vec!["third"]),
        (json!({ "last": 0 }), vec!["42", "second", "third"]),
        (json!({ "last": -1 }), vec!["42", "second", "third"]),
        (
            json!({ "date_from": "yesterday" }),
            vec!["42", "second", "third"],
        ),
        (
            json!({ "date_from": "last_7_days" }),
            vec!["42", "second", "third"],
        ),
        (
            json!({ "date_from": "some day" }),
            vec!["42", "second", "third"],
        ),
        (json!({ "date_to": "2020-01-01" }), vec![]),
        (json!({ "date_from": "2999-01-01" }), vec![]),
    ] {
        let mut data = more.clone();
        data["chatId"] = json!(chat);
        let messages = client.call("getChatMessages", data).await.unwrap();
        let messages = messages.as_array().unwrap().iter();
        let read: Vec<_> = messages
            .map(|m| m["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(read, texts, "{more}");
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_answers_in_its_own_words() {
    let system = System::start(Shape::Sqlite).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut client = direct::Client::connect(system.address(), &ann).await;
    let to = |receiver: &Value| {
        json!({ "action": "text_message", "receiver_id": receiver, "message_body": "x" })
            .to_string()
    };
    let file = |chat: &Value| json!({ "action": "file_message", "chat_id": chat }).to_string();
    let text = client.say(ben.id, "not a file").await;
    for (frame, text) in [
        ("not json".to_owned(), "Invalid JSON"),
        (
            json!({ "action": "nonsense" }).to_string(),
            "Invalid action",
        ),
        (json!({}).to_string(), "Invalid action"),
        (to(&json!(Uuid::now_v7())), "Invalid receipient"),
        (to(&json!(ann.id)), "Invalid receipient"),
        (to(&json!("no uuid")), "Invalid receipient"),
        (to(&json!(7)), "Invalid receipient"),
        (to(&json!(null)), "Invalid receipient"),
        (file(&json!(999_999_999)), "Invalid chat"),
        (file(&json!("x")), "Invalid chat"),
        (file(&json!(text.id)), "Invalid chat"),
    ] {
        client.socket.send_text(&frame).await;
        assert_eq!(client.error().await, text, "{frame}");
    }
    client.socket.send(Message::binary(vec![0, 159])).await;
    client.say(ben.id, "still open").await;

    let rest = system.rest(&ann);
    for receiver in ["no-uuid".to_owned(), Uuid::now_v7().to_string()] {
        for slash in ["", "/"] {
            let path = format!("/chat/messages/{receiver}{slash}");
            let (status, body) = rest.get(&path).await;
            assert_eq!(status, 404, "{path}: {body}");
            assert_eq!(body["message"], "Invalid receipient");
            assert_eq!(body["status"], "failure");
            assert_eq!(body["entity"], json!(null));
            assert_eq!(body["success"], false);
        }
    }
    system.stop().await;
}
