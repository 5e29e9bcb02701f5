//! The three sockets: what is sent and what comes is in `/asyncapi.json`.

use std::collections::BTreeSet;

use confab_testkit::people::Person;
use confab_testkit::{Shape, Socket, System};
use serde_json::{Value, json};

use super::schemas::Schemas;
use super::{DOLLAR, TEXT, form};

/// A channel as it is described, with the messages that were seen.
struct Channel {
    name: &'static str,
    document: Value,
    schemas: Schemas,
    seen: BTreeSet<String>,
}

/// A socket of a channel.
struct Line(Socket);

impl Channel {
    async fn of(system: &System, name: &'static str) -> Self {
        let document = reqwest::get(system.url("/asyncapi.json")).await.unwrap();
        let document: Value = document.json().await.unwrap();
        Self {
            name,
            schemas: Schemas::of(&document),
            document,
            seen: BTreeSet::new(),
        }
    }

    async fn open(&self, system: &System, person: Option<&Person>) -> Line {
        let address = &self.document["channels"][self.name]["address"];
        let path = match person {
            Some(person) => format!("{}?token={}", address.as_str().unwrap(), person.token),
            None => address.as_str().unwrap().to_owned(),
        };
        let socket = Socket::open(system.address(), &path, &[]).await;
        Line(socket.unwrap())
    }

    /// The messages of an operation: their names in the channel.
    fn messages(&self, operation: &str) -> Vec<String> {
        let operation = format!("{}.{operation}", self.name);
        let messages = &self.document["operations"][operation]["messages"];
        let messages = messages.as_array().unwrap().iter();
        let names = messages.map(|it| it["$ref"].as_str().unwrap().rsplit_once('/').unwrap());
        names.map(|(_, name)| name.to_owned()).collect()
    }

    /// A frame is one of an operation's messages.
    fn check(&mut self, operation: &str, frame: &Value) {
        let messages = &self.document["components"]["messages"];
        let mut all = Vec::new();
        for name in self.messages(operation) {
            let payload = &messages[format!("{}.{name}", self.name)]["payload"];
            let faults = self.schemas.faults(payload, frame);
            if faults.is_empty() {
                self.seen.insert(name);
                return;
            }
            all.push((name, faults));
        }
        panic!("no {operation} of {}: {frame:#}\n{all:#?}", self.name);
    }

    /// Sends what front ends may send.
    async fn send(&mut self, line: &mut Line, frame: Value) {
        self.check("request", &frame);
        line.0.send_json(&frame).await;
    }

    /// The next frame.
    async fn frame(&mut self, line: &mut Line) -> Value {
        let frame = line.0.frame().await;
        self.check("frame", &frame);
        frame
    }

    async fn call(&mut self, line: &mut Line, frame: Value) -> Value {
        self.send(line, frame).await;
        self.frame(line).await
    }

    /// Sends what nobody should, and is told so.
    async fn fail(&mut self, line: &mut Line, frame: &str) {
        line.0.send_text(frame).await;
        self.frame(line).await;
    }

    fn assert_all_seen(&self) {
        let mut names = self.messages("request");
        names.extend(self.messages("frame"));
        names.retain(|name| !self.seen.contains(name));
        assert!(names.is_empty(), "never seen: {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_assistants_are_as_described() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("ann", &[4], DOLLAR).await;
    let mut channel = Channel::of(&system, "assistant").await;
    let mut line = channel.open(&system, None).await;
    let request = |kind: i64, data: Value| json!({ "type": kind, "data": data });
    for kind in [0, 1, 5, 6] {
        let asked = request(kind, json!({ "user_id": user }));
        channel.call(&mut line, asked).await;
    }
    let asked = json!({
        "user_id": user, "session_id": "NEW", "model_name": "gpt-4-turbo", "message": "hello",
        "session_prompt": "", "file_name": "", "client_msg_id": "one",
    });
    let reply = channel.call(&mut line, request(3, asked)).await;
    let session = json!({ "user_id": user, "session_id": reply["data"]["session_id"] });
    for kind in [1, 2, 6, 4] {
        channel
            .call(&mut line, request(kind, session.clone()))
            .await;
    }
    for frame in ["no JSON", "{}", r#"{"type":9,"data":{}}"#] {
        channel.fail(&mut line, frame).await;
    }
    channel.assert_all_seen();
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_groups_are_as_described() {
    let system = System::start(Shape::Sqlite).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut channel = Channel::of(&system, "groups").await;
    let mut first = channel.open(&system, Some(&ann)).await;
    let mut second = channel.open(&system, Some(&ben)).await;
    let request = |kind: &str, data: Value| json!({ "type": kind, "data": data });
    let made = request("createEmptyChat", json!({}));
    let chat = channel.call(&mut first, made).await["data"]["id"].clone();
    let join = request("joinChat", json!({ "chat": chat }));
    for _ in 0..2 {
        channel.call(&mut first, join.clone()).await;
    }
    channel.call(&mut second, join).await;
    // The first one is told of the second.
    channel.frame(&mut first).await;
    let text = json!({ "chat": chat, "text": "hello", "is_read": true, "client_msg_id": "one" });
    let said = channel.call(&mut first, request("newMessage", text)).await;
    let heard = channel.frame(&mut second).await;
    assert_eq!(said["data"]["id"], heard["data"]["id"]);
    let mark = json!({ "chat": chat, "last_read_message": said["data"]["id"] });
    channel.call(&mut second, request("joinChat", mark)).await;
    let wanted = json!({
        "chatId": chat, "date_from": "yesterday", "date_to": "2999-01-01", "last": 3, "tz": "Europe/Berlin",
    });
    for (kind, data) in [
        ("getChats", json!({})),
        ("getChatDetails", json!({ "chatId": chat })),
        ("getChatMessages", wanted),
    ] {
        let reply = channel.call(&mut second, request(kind, data)).await;
        assert!(reply["data"].is_array() || reply["data"].is_object());
    }
    for frame in ["no JSON", "{}", r#"{"type":"getChatDetails","data":{}}"#] {
        channel.fail(&mut first, frame).await;
    }
    channel.assert_all_seen();
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_between_two_people_are_as_described() {
    let system = System::start(Shape::Sqlite).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut channel = Channel::of(&system, "direct").await;
    let mut first = channel.open(&system, Some(&ann)).await;
    let mut second = channel.open(&system, Some(&ben)).await;
    let upload = form("attached_file", TEXT).text("receiver", ben.id.to_string());
    let rest = system.rest(&ann);
    let (status, stored) = rest.post_form("/chat/attachment/", upload).await;
    assert_eq!(status, 201, "{stored}");
    for request in [
        json!({ "action": "text_message", "receiver_id": ben.id, "message_body": "hello" }),
        json!({
            "action": "text_message", "receiver_id": ben.id, "message_body": "hello", "client_msg_id": "one",
        }),
        json!({ "action": "file_message", "chat_id": stored["data"]["message"]["id"] }),
        json!({ "action": "user_profile_message", "receiver_id": ben.id, "attached_profile_id": ann.id }),
    ] {
        let told = channel.call(&mut first, request).await;
        assert_eq!(told["action"], "conf_message");
        let heard = channel.frame(&mut second).await;
        assert_eq!(heard["action"], "re_message");
    }
    let nobody = json!({ "action": "text_message", "receiver_id": ann.id, "message_body": "x" });
    channel.call(&mut first, nobody).await;
    for frame in ["no JSON", "{}", r#"{"action":"file_message","chat_id":0}"#] {
        channel.fail(&mut first, frame).await;
    }
    channel.assert_all_seen();
    system.stop().await;
}
