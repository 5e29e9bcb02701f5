//! A socket that was cut is sent what it missed, in order and once, also while more comes.

use std::collections::BTreeSet;

use confab_testkit::people::{From, Positions};
use confab_testkit::{Part, Shape, System, direct, groups};

use super::gateway;

/// How many messages a test sends at least.
const MESSAGES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_comes_first_and_then_what_is_new() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
        let mut receiver = direct::Client::connect(gateway(&system, 0), &ben).await;
        let first = sender.say(ben.id, "seen").await;
        receiver.hear("re_message", "seen").await;
        drop(receiver);
        let mut missed = Vec::new();
        for index in 0..MESSAGES {
            missed.push(sender.say(ben.id, &format!("missed {index}")).await);
        }
        let resume = From::Resume(Positions::from([(first.thread, first.seq)]));
        for from in [resume, From::Since(first.id)] {
            // On another gateway than before.
            let mut receiver = direct::Client::connect_from(gateway(&system, 1), &ben, &from).await;
            let text = format!("new after {from:?}");
            missed.push(sender.say(ben.id, &text).await);
            receiver.hear("re_message", &text).await;
            assert_eq!(receiver.heard(), missed, "{shape:?} {from:?}");
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_or_doubled_in_the_middle_of_traffic() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
        let thread = sender.say(ben.id, "the first").await.thread;
        let talking = async {
            let mut said = Vec::new();
            for index in 0..5 * MESSAGES {
                said.push(sender.say(ben.id, &format!("message {index}")).await);
            }
            said
        };
        let last = format!("message {}", 5 * MESSAGES - 1);
        let listening = async {
            let mut heard = Vec::new();
            let mut position = 1;
            for cut in 0.. {
                let from = From::Resume(Positions::from([(thread, position)]));
                let address = gateway(&system, cut);
                let mut client = direct::Client::connect_from(address, &ben, &from).await;
                // Cut after a few more each time; what is in the socket then is lost.
                while client.heard().len() <= cut {
                    client.socket.frame().await;
                    if client.heard().last().is_some_and(|m| m.body == last) {
                        break;
                    }
                }
                heard.extend(client.heard());
                position = heard.last().map_or(position, |message| message.seq);
                if heard.last().is_some_and(|message| message.body == last) {
                    break;
                }
            }
            heard
        };
        let (said, heard) = tokio::join!(talking, listening);
        assert_eq!(heard, said, "{shape:?}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_resumed_in_its_own_dialect() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut sender = groups::Client::connect(gateway(&system, 0), &ann).await;
        let mut receiver = groups::Client::connect(gateway(&system, 1), &ben).await;
        let chat = sender.create().await;
        sender.join(chat).await;
        receiver.join(chat).await;
        let seen = sender.say(chat, "seen").await;
        receiver.hear("seen").await;
        drop(receiver);
        let texts: Vec<String> = (0..MESSAGES)
            .map(|index| format!("missed {index}"))
            .collect();
        for text in &texts {
            sender.say(chat, text).await;
        }
        let seq = seen["seq"].as_i64().unwrap();
        let from = From::Resume(Positions::from([(chat, seq)]));
        let mut receiver = groups::Client::connect_from(gateway(&system, 0), &ben, &from).await;
        receiver.hear(texts.last().unwrap()).await;
        assert_eq!(receiver.heard(), texts, "{shape:?}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_good_after_everything_was_restarted() {
    for shape in Shape::ENDS {
        let mut system = System::start(shape).await;
        let [ann, ben] = system.people_named(["ann", "ben"]).await;
        let mut sender = direct::Client::connect(system.address(), &ann).await;
        let first = sender.say(ben.id, "before").await;
        let missed = sender.say(ben.id, "missed").await;
        drop(sender);
        system.restart().await;
        let from = From::Resume(Positions::from([(first.thread, first.seq)]));
        let mut receiver = direct::Client::connect_from(system.address(), &ben, &from).await;
        receiver.hear("re_message", "missed").await;
        assert_eq!(receiver.heard(), [missed]);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_tells_its_sockets_to_come_back() {
    let mut system = System::start(Shape::Split).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut sender = direct::Client::connect(gateway(&system, 0), &ann).await;
    let mut receiver = direct::Client::connect(gateway(&system, 1), &ben).await;
    let first = sender.say(ben.id, "before").await;
    receiver.hear("re_message", "before").await;
    let (code, ()) = tokio::join!(receiver.socket.closed(), system.stop_part(Part::Gateway(1)));
    assert_eq!(code, Some(1012));
    sender.say(ben.id, "while away").await;
    let from = From::Resume(Positions::from([(first.thread, first.seq)]));
    let mut receiver = direct::Client::connect_from(gateway(&system, 0), &ben, &from).await;
    receiver.hear("re_message", "while away").await;
    let places: BTreeSet<i64> = receiver.heard().iter().map(|m| m.seq).collect();
    assert_eq!(places, BTreeSet::from([first.seq + 1]));
    system.start_part(Part::Gateway(1)).await;
    system.stop().await;
}
