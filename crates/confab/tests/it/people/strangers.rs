//! Who is no part of a conversation sees nothing of it, and cannot tell it from one that does not exist.

use confab_testkit::people::{Dialect, From, Person, Positions, open};
use confab_testkit::{Rest, Shape, System, direct, groups};
use serde_json::{Value, json};

use super::gateway;

const NOWHERE: i64 = 999_999_999;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_no_frame_and_no_answer() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben, eve] = system.people_named(["ann", "ben", "eve"]).await;
        let mut direct_eve = direct::Client::connect(gateway(&system, 0), &eve).await;
        let mut groups_eve = groups::Client::connect(gateway(&system, 1), &eve).await;
        let mut ann_in_direct = direct::Client::connect(gateway(&system, 0), &ann).await;
        let mut ann_in_groups = groups::Client::connect(gateway(&system, 1), &ann).await;
        let secret = ann_in_direct.say(ben.id, "a secret").await;
        let chat = ann_in_groups.create().await;
        ann_in_groups.join(chat).await;
        ann_in_groups.say(chat, "another secret").await;

        for thread in [secret.thread, chat] {
            for (kind, data) in [
                ("getChatDetails", json!({ "chatId": thread })),
                ("getChatMessages", json!({ "chatId": thread })),
                ("newMessage", json!({ "chat": thread, "text": "let me in" })),
            ] {
                let nowhere: Value = serde_json::from_str(
                    &data
                        .to_string()
                        .replace(&thread.to_string(), &NOWHERE.to_string()),
                )
                .unwrap();
                let refused = groups_eve.call(kind, data).await;
                let unknown = groups_eve.call(kind, nowhere).await;
                assert_eq!(refused, Err("Chat not found.".to_owned()), "{kind}");
                assert_eq!(refused, unknown, "{kind}");
            }
        }
        // Groups are open to who knows their number; a conversation of two is not.
        let join = json!({ "chat": secret.thread });
        let refused = groups_eve.call("joinChat", join).await;
        assert_eq!(refused, Err("Chat not found.".to_owned()));
        let chats = groups_eve.call("getChats", json!({})).await;
        assert_eq!(chats, Ok(json!([])));

        rest_says_nothing(&system.rest(&eve), &secret, &ann).await;
        let file = json!({ "action": "file_message", "chat_id": secret.id });
        direct_eve.socket.send_json(&file).await;
        assert_eq!(direct_eve.error().await, "Invalid chat");

        // What comes last for Eve comes after all that could have leaked.
        ann_in_direct.say(eve.id, "for eve").await;
        direct_eve.hear("re_message", "for eve").await;
        groups_eve.hear("for eve").await;
        assert_eq!(direct_eve.heard().len(), 1, "{:?}", direct_eve.heard());
        assert_eq!(groups_eve.heard(), ["for eve"]);
        system.stop().await;
    }
}

async fn rest_says_nothing(eve: &Rest, secret: &confab_testkit::history::Message, ann: &Person) {
    let (status, body) = eve
        .get(&format!("/chat/thread/files/{}/", secret.thread))
        .await;
    assert_eq!((status, &body["message"]), (404, &json!("Invalid thread")));
    let (_, unknown) = eve.get(&format!("/chat/thread/files/{NOWHERE}/")).await;
    assert_eq!(body, unknown);
    // Eve's own conversation with Ann is empty.
    assert_eq!(direct::texts(eve, ann.id).await, Vec::<String>::new());
    let (status, body) = eve.get("/chat/user/threads/").await;
    assert_eq!((status, &body["data"]), (200, &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_resume_what_is_not_theirs() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben, eve] = system.people_named(["ann", "ben", "eve"]).await;
        let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
        let secret = sender.say(ben.id, "a secret").await;
        for from in [
            From::Resume(Positions::from([(secret.thread, 0), (NOWHERE, 0)])),
            From::Since(secret.id),
        ] {
            let mut client = direct::Client::connect_from(gateway(&system, 1), &eve, &from).await;
            let text = format!("for eve after {from:?}");
            sender.say(eve.id, &text).await;
            client.hear("re_message", &text).await;
            let foreign = client
                .heard()
                .into_iter()
                .any(|m| m.thread == secret.thread);
            assert!(!foreign, "{from:?}");
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_socket_opens_without_a_good_token() {
    let system = System::start(Shape::Sqlite).await;
    let mut nobody = system.person("nobody").await;
    nobody.token.pop();
    nobody.token.pop();
    let good = system.person("somebody").await;
    for dialect in Dialect::BOTH {
        for token in ["", "x", nobody.token.as_str()] {
            let forged = Person {
                token: token.to_owned(),
                ..nobody.clone()
            };
            let refused = open(system.address(), dialect, &forged, &From::Now).await;
            let Err(tokio_tungstenite::tungstenite::Error::Http(response)) = refused else {
                panic!("{dialect:?} opened for {token:?}");
            };
            assert_eq!(response.status().as_u16(), 403, "{dialect:?} {token:?}");
        }
        open(system.address(), dialect, &good, &From::Now)
            .await
            .unwrap();
    }
    let anonymous = Rest::anonymous(system.address());
    for path in ["/chat/user/threads/", "/chat/thread/files/1/"] {
        let (status, body) = anonymous.get(path).await;
        assert_eq!(status, 401);
        assert_eq!(
            body["detail"],
            "Authentication credentials were not provided."
        );
        assert_eq!(body["success"], false);
    }
    system.stop().await;
}
