//! Direct messages over REST.

use confab_testkit::{Shape, System, direct};
use reqwest::multipart::Form;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{Api, is_guarded};
use super::{ELSEWHERE, TEXT, assert_file, form};

fn upload(receiver: Uuid) -> Form {
    form("attached_file", TEXT)
        .text("receiver", receiver.to_string())
        .text("message", "look at this")
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_messages_are_as_described() {
    let settings = [("attachments.max_file_mib", "1")];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let api = Api::of(&system).await;
    let [ann, ben, eve] = system.people_named(["ann", "ben", "eve"]).await;
    let ask = |name: &str| api.ask(&format!("direct_{name}")).bearer(&ann.token);
    ask("threads").gives(200).await;
    ask("messages").at("uid", &ben.id).gives(200).await;
    let mut socket = direct::Client::connect(system.address(), &ann).await;
    socket.say(ben.id, "a text").await;
    let card = json!({
        "action": "user_profile_message", "receiver_id": ben.id, "attached_profile_id": eve.id,
    });
    socket.socket.send_json(&card).await;
    socket.socket.frame().await;

    let stored = ask("upload").header("Idempotency-Key", "one");
    let stored = stored.form(upload(ben.id)).gives(201).await.body;
    let stored = &stored["data"]["message"];
    let reused = ask("upload").header("Idempotency-Key", "one");
    reused.form(upload(eve.id)).gives(409).await;
    let nothing = Form::new().text("message", "look at this");
    let told = ask("upload").form(nothing).gives(400).await.body;
    assert!(told["data"]["receiver"].is_array(), "{told}");
    let told = ask("upload").form(Form::new()).gives(400).await.body;
    assert!(told["data"].is_null(), "{told}");
    ask("upload").form(upload(ann.id)).gives(404).await;
    let elsewhere = ask("upload").on_page(ELSEWHERE);
    elsewhere.form(upload(ben.id)).gives(403).await;
    let large = form("attached_file", vec![b'x'; 3 << 20]);
    let large = large.text("receiver", ben.id.to_string());
    ask("upload").form(large).gives(413).await;

    let said = ask("messages").at("uid", &ben.id).gives(200).await.body;
    assert_eq!(said["data"]["messages"].as_array().unwrap().len(), 3);
    let earlier = |before: &Value| ask("messages").at("uid", &ben.id).query("before", before);
    let last = earlier(&stored["id"])
        .query("limit", &1)
        .gives(200)
        .await
        .body;
    assert_eq!(last["data"]["messages"].as_array().unwrap().len(), 1);
    earlier(&json!(987_654)).gives(404).await;
    ask("messages").at("uid", &ann.id).gives(404).await;
    let threads = ask("threads").gives(200).await.body;
    assert!(threads["data"][0]["last_message"].is_object());
    let thread = &stored["thread"];
    ask("files").at("thread", thread).gives(200).await;
    ask("files").at("thread", &987_654).gives(404).await;

    let path = stored["attached_file"].as_str().unwrap().to_owned();
    let (before, name) = path.rsplit_once('/').unwrap();
    let (_, id) = before.rsplit_once('/').unwrap();
    let download = || api.ask("direct_download").at("id", id).at("name", name);
    assert_file(&download, &ben.token).await;
    download().bearer(&eve.token).gives(404).await;
    for name in api.named("direct", is_guarded) {
        api.ask(&name).anywhere("1").gives(401).await;
        let wrong = api.ask(&name).anywhere("1").bearer("wrong");
        wrong.gives(401).await;
    }
    api.assert_all_seen("direct", &[]);
    system.stop().await;
}
