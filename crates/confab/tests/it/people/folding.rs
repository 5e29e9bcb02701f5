//! A snapshot and what is resumed after it make the snapshot of later: nothing that happens is outside the log.

use confab_testkit::people::{From, Person, Positions};
use confab_testkit::{Shape, System, groups};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::gateway;

/// People who may come into the chat beside the one who watches it.
const CROWD: usize = 5;

/// Something that one of the crowd tries; whoever is not in the chat yet is refused, and that changes nothing.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join(usize),
    Say(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..CROWD).prop_map(Step::Join),
        3 => (0..CROWD).prop_map(Step::Say),
    ]
}

/// The chat as a front end shows it: who is in it, and what was said by whom.
#[derive(Debug, PartialEq)]
struct Snapshot {
    participants: Vec<Value>,
    messages: Vec<[Value; 3]>,
}

fn message(data: &Value) -> [Value; 3] {
    [&data["id"], &data["sender"]["id"], &data["text"]].map(Clone::clone)
}

impl Snapshot {
    async fn fresh(client: &mut groups::Client, chat: i64) -> Self {
        let request = json!({ "chatId": chat });
        let details = client
            .call("getChatDetails", request.clone())
            .await
            .unwrap();
        let messages = client.call("getChatMessages", request).await.unwrap();
        let participants = details["participants"].as_array().unwrap();
        Self {
            participants: participants.iter().map(|it| it["id"].clone()).collect(),
            messages: messages.as_array().unwrap().iter().map(message).collect(),
        }
    }

    fn fold(mut self, frames: &[Value]) -> Self {
        for frame in frames {
            match frame["type"].as_str() {
                Some("messageCreated") => self.messages.push(message(&frame["data"])),
                Some("chatJoined") => self.participants.push(frame["data"]["user"]["id"].clone()),
                _ => {}
            }
        }
        self
    }
}

/// Takes the steps; gives the last `seq` that came of them, if any.
async fn take(crowd: &mut [groups::Client], chat: i64, steps: &[Step], name: &str) -> Option<i64> {
    let mut last = None;
    for (index, step) in steps.iter().enumerate() {
        let done = match *step {
            Step::Join(who) => crowd[who].call("joinChat", json!({ "chat": chat })).await,
            Step::Say(who) => {
                let said = json!({ "chat": chat, "text": format!("{name} {index}") });
                crowd[who].call("newMessage", said).await
            }
        };
        last = done.ok().and_then(|data| data["seq"].as_i64()).or(last);
    }
    last
}

async fn snapshot_and_resumed_make_the_fresh_one(before: Vec<Step>, after: Vec<Step>) {
    let system = System::start(Shape::Sqlite).await;
    let people: [Person; CROWD] = system.people_named(["a", "b", "c", "d", "e"]).await;
    let [watcher] = system.people_named(["watcher"]).await;
    let address = gateway(&system, 0);
    let mut crowd = Vec::new();
    for person in &people {
        crowd.push(groups::Client::connect(address, person).await);
    }
    let mut client = groups::Client::connect(address, &watcher).await;
    let chat = client.create().await;
    let joined = client.join(chat).await["seq"].as_i64().unwrap();
    let seq = take(&mut crowd, chat, &before, "before").await;
    let snapshot = Snapshot::fresh(&mut client, chat).await;
    drop(client);

    take(&mut crowd, chat, &after, "after").await;
    let position = Positions::from([(chat, seq.unwrap_or(joined))]);
    let from = From::Resume(position);
    let mut client = groups::Client::connect_from(address, &watcher, &from).await;
    // One more, so that it is known when everything before it has come.
    take(&mut crowd, chat, &[Step::Join(0), Step::Say(0)], "end").await;
    client.hear("end 1").await;
    let folded = snapshot.fold(client.socket.log());
    assert_eq!(folded, Snapshot::fresh(&mut client, chat).await);
    system.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_and_what_is_resumed_make_the_fresh_snapshot(
        before in vec(step(), 0..20),
        after in vec(step(), 0..20),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(Box::pin(snapshot_and_resumed_make_the_fresh_one(before, after)));
    }
}
