//! What one person sends is there for the others at once, on whatever gateway and in whatever dialect they are.

use confab_testkit::people::Person;
use confab_testkit::{Shape, System, direct, groups};
use serde_json::json;

use super::gateway;

async fn three_each(system: &System, person: &Person) -> Vec<direct::Client> {
    let mut clients = Vec::new();
    for index in 0..3 {
        clients.push(direct::Client::connect(gateway(system, index), person).await);
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn every_socket_of_both_is_told_once() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let (mut anns, mut bens) = (
            three_each(&system, &ann).await,
            three_each(&system, &ben).await,
        );
        let mut said = Vec::new();
        for index in 0..3 {
            let question = format!("question {index}");
            said.push(anns[index].say(ben.id, &question).await);
            let answer = format!("answer {index}");
            bens[index].hear("re_message", &question).await;
            said.push(bens[index].say(ann.id, &answer).await);
        }
        // One order for everybody, from the first place on.
        let places: Vec<i64> = said.iter().map(|message| message.seq).collect();
        assert_eq!(places, [1, 2, 3, 4, 5, 6]);
        for client in anns.iter_mut().chain(&mut bens) {
            let mine = client.person.id == ben.id;
            let action = if mine { "conf_message" } else { "re_message" };
            if !client.heard().iter().any(|message| message.seq == 6) {
                client.hear(action, "answer 2").await;
            }
            assert_eq!(client.heard(), said, "{shape:?}");
        }
        let newest_first: Vec<String> = said.iter().rev().map(|m| m.body.clone()).collect();
        for person in [(&ann, &ben), (&ben, &ann)] {
            let texts = direct::texts(&system.rest(person.0), person.1.id).await;
            assert_eq!(texts, newest_first);
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_told_in_the_frames_of_the_front_end() {
    let system = System::start(Shape::Sqlite).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut receiver = direct::Client::connect(system.address(), &ben).await;
    let mut sender = direct::Client::connect(system.address(), &ann).await;
    sender.say(ben.id, "hello there").await;
    receiver.hear("re_message", "hello there").await;
    for (client, action) in [(&sender, "conf_message"), (&receiver, "re_message")] {
        let frame = &client.socket.log()[0];
        assert_eq!(frame["action"], action);
        assert_eq!(frame["message_type"], "text");
        assert_eq!(frame["message"], "hello there");
        assert_eq!(frame["message_body"], "hello there");
        assert_eq!(frame["sender_id"], json!(ann.id));
        assert_eq!(frame["receiver_id"], json!(ben.id));
        let time = frame["timestamp"].as_str().unwrap();
        assert!(time.ends_with("+00:00"), "{time}");
    }
    let profile = json!({
        "action": "user_profile_message", "attached_profile_id": ben.id, "receiver_id": ben.id,
    });
    sender.socket.send_json(&profile).await;
    let frame = receiver.socket.frame().await;
    assert_eq!(frame["message_type"], "user_profile");
    assert_eq!(frame["attached_profile"]["id"], json!(ben.id));
    assert_eq!(frame["message"], json!(null));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_in_one_dialect_arrives_in_the_other() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut direct = direct::Client::connect(gateway(&system, 0), &ann).await;
        let mut groups = groups::Client::connect(gateway(&system, 1), &ben).await;
        let sent = direct.say(ben.id, "from direct").await;
        let pushed = groups.hear("from direct").await;
        assert_eq!(pushed["id"], sent.id);
        assert_eq!(pushed["seq"], sent.seq);
        assert_eq!(
            pushed["sender"],
            json!({ "id": ann.number, "username": ann.username })
        );
        let chat = pushed["chat"].as_i64().unwrap();
        assert_eq!(chat, sent.thread);
        let reply = groups.say(chat, "from groups").await;
        let heard = direct.hear("re_message", "from groups").await;
        assert_eq!(reply["id"], heard.id);
        assert_eq!((heard.thread, heard.sender), (chat, ben.id));
        assert_eq!(groups.texts(chat).await, ["from direct", "from groups"]);
        let chats = groups.call("getChats", json!({})).await.unwrap();
        assert_eq!(chats[0]["id"], chat);
        assert_eq!(chats[0]["participants"].as_array().unwrap().len(), 2);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_people_in_a_group_hear_each_other() {
    const PEOPLE: usize = 60;
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let mut clients = Vec::new();
        for index in 0..PEOPLE {
            let person = system.person("member").await;
            clients.push(groups::Client::connect(gateway(&system, index), &person).await);
        }
        let chat = clients[0].create().await;
        for client in &mut clients {
            client.join(chat).await;
        }
        let mut said = Vec::new();
        for index in [0, 1, PEOPLE - 1] {
            let text = format!("from {index}");
            clients[index].say(chat, &text).await;
            said.push(text);
        }
        let last = said.last().unwrap().clone();
        for client in &mut clients {
            if !client.heard().contains(&last) {
                client.hear(&last).await;
            }
            assert_eq!(client.heard(), said, "{shape:?}");
        }
        let details = json!({ "chatId": chat });
        let details = clients[5].call("getChatDetails", details).await.unwrap();
        assert_eq!(details["participants"].as_array().unwrap().len(), PEOPLE);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_is_told_to_those_who_are_there() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut first = groups::Client::connect(gateway(&system, 0), &ann).await;
        let mut second = groups::Client::connect(gateway(&system, 1), &ben).await;
        let chat = first.create().await;
        first.join(chat).await;
        let said = first.say(chat, "before").await;
        let joined = second.join(chat).await;
        assert_eq!(joined["last_read_message"], said["id"]);
        let pushed = first.socket.frame_that("ben joins", |frame| {
            frame["type"] == "chatJoined" && frame["data"]["user"]["id"] == ben.number
        });
        assert_eq!(pushed.await["data"]["chat"], chat);
        let again = second.call("joinChat", json!({ "chat": chat })).await;
        assert_eq!(
            again.unwrap_err(),
            "You are already a participant in this chat."
        );
        // What was said before somebody came can be read but was not pushed.
        assert_eq!(second.texts(chat).await, ["before"]);
        assert!(second.heard().is_empty());
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_sockets_of_one_user_are_all_told() {
    const SOCKETS: usize = 300;
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
        let mut sockets = Vec::new();
        for index in 0..SOCKETS {
            sockets.push(direct::Client::connect(gateway(&system, index), &ben).await);
        }
        let first = sender.say(ben.id, "first").await;
        let second = sender.say(ben.id, "second").await;
        for client in &mut sockets {
            client.hear("re_message", "second").await;
            assert_eq!(client.heard(), [first.clone(), second.clone()]);
        }
        system.stop().await;
    }
}
