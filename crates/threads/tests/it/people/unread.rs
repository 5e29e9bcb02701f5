//! Unread counts are those of a model that replays what happened.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use confab_rpc::threads::Entry;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::town::{Town, announcement, file, into};
use crate::world::uuid;

/// What one of three members does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Say,
    SendFile,
    /// Announces the author's last file, if there is one.
    Announce,
    /// Reads up to one of the messages so far.
    Read(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        3 => Just(Step::Say),
        1 => Just(Step::SendFile),
        1 => Just(Step::Announce),
        2 => any::<prop::sample::Index>().prop_map(Step::Read),
    ];
    prop::collection::vec((0..3_usize, step), 0..25)
}

async fn replay(town: &Town, steps: Vec<(usize, Step)>) {
    let users = [uuid(), uuid(), uuid()];
    let group = town.group_of(&[&users[0], &users[1], &users[2]]).await;
    let mut messages: Vec<Entry> = Vec::new();
    let mut read = [0; 3];
    for (actor, step) in steps {
        let user = &users[actor];
        match step {
            Step::Say => messages.push(town.say(into(user, group, "hello")).await),
            Step::SendFile => messages.push(town.say(file(into(user, group, ""))).await),
            Step::Announce => {
                let own =
                    |entry: &&Entry| &entry.author_id == user && !entry.attachments.is_empty();
                if let Some(last) = messages.iter().rfind(own) {
                    town.say(announcement(user, last.id)).await;
                }
            }
            Step::Read(_) if messages.is_empty() => {}
            Step::Read(index) => {
                let message = index.get(&messages);
                read[actor] = message.seq.max(read[actor]);
                let mark = town.mark(user, group, message.id).await.unwrap();
                assert_eq!(mark.read_seq, read[actor]);
            }
        }
    }
    for (user, read) in users.iter().zip(read) {
        let unread = messages
            .iter()
            .filter(|entry| entry.seq > read && &entry.author_id != user)
            .count();
        let seen = town.get(user, group).await.unwrap();
        assert_eq!(
            (seen.read_seq, seen.unread),
            (read, i64::try_from(unread).unwrap())
        );
        assert_eq!(seen.last_message.as_ref(), messages.last());
        assert_eq!(town.conversations(user).await, [seen]);
    }
}

#[test]
fn unread_counts_agree_with_a_model() {
    let runtime = Runtime::new().unwrap();
    for town in runtime.block_on(Town::both()) {
        let config = Config {
            cases: 6,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&steps(), |steps| {
            runtime.block_on(replay(&town, steps));
            Ok(())
        });
        outcome.unwrap();
    }
}
