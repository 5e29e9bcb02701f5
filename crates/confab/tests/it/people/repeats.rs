//! A send that is repeated makes one message, whoever is asked and however many ask at once.

use std::collections::BTreeSet;

use confab_testkit::{Shape, System, direct, groups};
use futures_util::future::join_all;
use serde_json::json;

use super::gateway;

const TIMES: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_over_both_gateways_make_one_message() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut receiver = direct::Client::connect(gateway(&system, 1), &ben).await;
        let mut clients = Vec::new();
        for index in 0..TIMES {
            clients.push(direct::Client::connect(gateway(&system, index), &ann).await);
        }
        let sends = clients
            .iter_mut()
            .map(|client| client.say(ben.id, "only once"));
        let answers = join_all(sends).await;
        let different: BTreeSet<_> = answers.into_iter().collect();
        assert_eq!(different.len(), 1, "{different:?}");
        clients[0].say(ben.id, "the next").await;
        receiver.hear("re_message", "the next").await;
        let texts: Vec<String> = receiver.heard().into_iter().map(|m| m.body).collect();
        assert_eq!(texts, ["only once", "the next"], "{shape:?}");
        assert_eq!(
            direct::texts(&system.rest(&ann), ben.id).await,
            ["the next", "only once"]
        );
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_for_one_content_also_after_a_restart() {
    for shape in Shape::ENDS {
        let mut system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut client = direct::Client::connect(system.address(), &ann).await;
        let original = client.say(ben.id, "hello").await;
        drop(client);
        system.restart().await;
        let mut client = direct::Client::connect(gateway(&system, 1), &ann).await;
        assert_eq!(client.say(ben.id, "hello").await, original);
        let other = direct::text_message(ben.id, "something else", "hello");
        client.socket.send_json(&other).await;
        assert_eq!(client.error().await, "Invalid client_msg_id");
        assert_eq!(direct::texts(&system.rest(&ann), ben.id).await, ["hello"]);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_in_a_group_is_answered_with_the_original() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann] = system.people_named(["ann"]).await;
        let mut one = groups::Client::connect(gateway(&system, 0), &ann).await;
        let mut other = groups::Client::connect(gateway(&system, 1), &ann).await;
        let chat = one.create().await;
        one.join(chat).await;
        let original = one.say(chat, "hello").await;
        let repeated = other.say(chat, "hello").await;
        for key in ["id", "seq", "timestamp", "sender"] {
            assert_eq!(repeated[key], original[key], "{repeated}");
        }
        // Without a key the same text twice is two messages.
        for _ in 0..2 {
            let data = json!({ "chat": chat, "text": "again" });
            one.call("newMessage", data).await.unwrap();
        }
        assert_eq!(one.texts(chat).await, ["hello", "again", "again"]);
        system.stop().await;
    }
}
