//! A file between two people: uploaded, announced, fetched by the receiver and by nobody else.

use confab_testkit::{Rest, Shape, System, direct};
use serde_json::{Value, json};

use super::gateway;

const BYTES: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

async fn upload(rest: &Rest, receiver: uuid::Uuid) -> Value {
    let (status, body) = rest.upload(receiver, "holiday.png", BYTES.to_vec()).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!(
        body["message"],
        "File uploaded and chat created successfully"
    );
    assert_eq!(body["data"], body["entity"]);
    body["entity"]["message"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_is_told_of_a_file_and_fetches_it() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben, eve] = system.people_named(["ann", "ben", "eve"]).await;
        let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
        let mut receiver = direct::Client::connect(gateway(&system, 1), &ben).await;
        let message = upload(&system.rest(&ann), ben.id).await;
        assert_eq!(message["attached_file_name"], "holiday.png");
        assert_eq!(message["message"], "look at this");
        let path = message["attached_file"].as_str().unwrap();
        assert!(path.starts_with("/media/chat-files/"), "{path}");

        // Told of when it is announced, once however often it is.
        let announce = json!({ "action": "file_message", "chat_id": message["id"] });
        for _ in 0..2 {
            sender.socket.send_json(&announce).await;
            let frame = sender.socket.frame().await;
            assert_eq!(frame["action"], "conf_message", "{frame}");
            assert_eq!(frame["created_msg_id"], message["id"]);
        }
        sender.say(ben.id, "did you get it?").await;
        receiver.hear("re_message", "did you get it?").await;
        let frames = receiver.socket.log();
        assert_eq!(frames.len(), 2, "{frames:?}");
        assert_eq!(frames[0]["message_type"], "file");
        assert_eq!(frames[0]["message_body"], "look at this");
        assert_eq!(frames[0]["attached_file_name"], "holiday.png");
        assert_eq!(
            frames[0]["attached_file_size"],
            message["attached_file_size"]
        );

        for person in [&ann, &ben] {
            let response = system.rest(person).fetch(path).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            assert_eq!(response.bytes().await.unwrap(), BYTES);
        }
        assert_eq!(system.rest(&eve).fetch(path).await.status(), 404);
        let anonymous = Rest::anonymous(system.address());
        assert_eq!(anonymous.fetch(path).await.status(), 401);

        let files = format!("/chat/thread/files/{}/", message["thread"]);
        let (status, body) = system.rest(&ben).get(&files).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["data"][0]["id"], message["id"]);
        assert_eq!(body["data"].as_array().unwrap().len(), 1);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_announces_the_file_of_another() {
    let system = System::start(Shape::Sqlite).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let message = upload(&system.rest(&ann), ben.id).await;
    let mut receiver = direct::Client::connect(system.address(), &ben).await;
    let announce = json!({ "action": "file_message", "chat_id": message["id"] });
    receiver.socket.send_json(&announce).await;
    assert_eq!(receiver.error().await, "Invalid chat");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_for_nobody_is_refused() {
    let system = System::start(Shape::Sqlite).await;
    let ann = system.person("ann").await;
    let rest = system.rest(&ann);
    for receiver in [uuid::Uuid::now_v7(), ann.id] {
        let (status, body) = rest.upload(receiver, "x.txt", b"x".to_vec()).await;
        assert!(status == 404 || status == 400, "{status} {body}");
        assert_eq!(body["success"], false);
    }
    let (status, _) = rest.get("/chat/user/threads/").await;
    assert_eq!(status, 200);
    system.stop().await;
}
