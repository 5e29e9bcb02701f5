//! Reading a thread's log, whatever was done to it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;

use confab_rpc::Reason;
use confab_rpc::threads::{AppendMessageRequest, AttachmentRef, ListMessagesRequest, Message};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::world::{World, all, checkpoint, finish, keyed, question, said, uuid};

fn seqs(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_limit_and_end_are_kept() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        for _ in 0..5 {
            world
                .append(question(&user, &thread, "hello"))
                .await
                .unwrap();
        }
        // after, before, newest, limit → what is there, and whether there is more.
        let cases = [
            (0, 0, false, 0, vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false),
            (0, 0, false, 3, vec![1, 2, 3], true),
            (0, 0, true, 3, vec![8, 9, 10], true),
            (3, 8, false, 0, vec![4, 5, 6, 7], false),
            (3, 8, false, 4, vec![4, 5, 6, 7], false),
            (3, 8, true, 3, vec![5, 6, 7], true),
            (10, 0, false, 0, vec![], false),
            (0, 1, true, 0, vec![], false),
            (7, 5, false, 0, vec![], false),
        ];
        for (after_seq, before_seq, newest, limit, held, more) in cases {
            let request = ListMessagesRequest {
                after_seq,
                before_seq,
                newest,
                limit,
                ..all(&user, &thread)
            };
            let page = world.page(request).await.unwrap();
            assert_eq!((seqs(&page.0), page.1), (held, more));
        }
        for (after_seq, before_seq) in [(-1, 0), (0, -1)] {
            let request = ListMessagesRequest {
                after_seq,
                before_seq,
                ..all(&user, &thread)
            };
            assert_eq!(world.page(request).await, Err(Reason::Invalid));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_at_two_mebibytes() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        // Counted in bytes: half as many characters.
        let long = "é".repeat(350 << 10);
        for _ in 0..4 {
            let exchange = world.append(question(&user, &thread, "hello")).await;
            let answer = exchange.unwrap().answer.unwrap();
            world.finish(finish(&answer, 1, Some(&long))).await.unwrap();
        }
        let (page, more) = world.page(all(&user, &thread)).await.unwrap();
        assert_eq!((seqs(&page), more), (vec![1, 2, 3, 4, 5], true));
        let newest = ListMessagesRequest {
            newest: true,
            ..all(&user, &thread)
        };
        let (page, more) = world.page(newest).await.unwrap();
        assert_eq!((seqs(&page), more), (vec![5, 6, 7, 8], true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_many_files_fit_into_replies() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let file = AttachmentRef {
            id: uuid(),
            name: "x".repeat(255),
            title: "x".repeat(1020),
            size: i64::MAX,
        };
        for _ in 0..250 {
            let mut request = question(&user, &thread, &"x".repeat(8 << 10));
            request.attachments = vec![file.clone(); 10];
            request.model = "x".repeat(255);
            world.append(request).await.unwrap();
        }
        let whole = ListMessagesRequest {
            limit: 500,
            ..all(&user, &thread)
        };
        let log = read(&world, whole).await;
        assert_eq!(seqs(&log), (1..=500).collect::<Vec<_>>());
        let ids: Vec<i64> = log.iter().map(|message| message.id).collect();
        let (found, more) = world.messages(&user, &ids).await.unwrap();
        assert_eq!((&found[..], more), (&log[..found.len()], true));
    }
}

/// One thing that is done to a thread.
#[derive(Debug, Clone)]
enum Step {
    /// A question, maybe under one of few keys.
    Append { content: String, key: Option<u8> },
    /// Something that nobody answers, under one of the same keys.
    Say { content: String, key: Option<u8> },
    /// The removal of one of the messages.
    Delete { message: prop::sample::Index },
    /// Text for one of the answers, from somewhere near its end.
    Extend {
        answer: prop::sample::Index,
        offset: i64,
        fence: i64,
        text: String,
    },
    /// The end of one of the answers.
    End {
        answer: prop::sample::Index,
        content: Option<String>,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (".{0,8}", prop::option::of(0..4_u8))
        .prop_map(|(content, key)| Step::Append { content, key });
    let say = (".{1,8}", prop::option::of(0..4_u8)).prop_map(|(content, key)| Step::Say {
        content: format!("{content}."),
        key,
    });
    let delete = any::<prop::sample::Index>().prop_map(|message| Step::Delete { message });
    let extend = (any::<prop::sample::Index>(), 0..6_i64, 0..3_i64, ".{0,4}").prop_map(
        |(answer, offset, fence, text)| Step::Extend {
            answer,
            offset,
            fence,
            text,
        },
    );
    let content = prop_oneof![
        3 => Just(None),
        2 => ".{0,9}".prop_map(Some),
        1 => (1..3_usize).prop_map(|n| Some("x".repeat(n * 700_000))),
    ];
    let end = (any::<prop::sample::Index>(), content)
        .prop_map(|(answer, content)| Step::End { answer, content });
    vec(
        prop_oneof![3 => append, 2 => say, 1 => delete, 2 => extend, 1 => end],
        0..25,
    )
}

/// What a thread must hold.
#[derive(Debug, Default)]
struct Held {
    /// Every message as it was written, in the order of `seq`.
    written: Vec<Message>,
    deleted: HashSet<i64>,
}

impl Held {
    fn answers(&self) -> Vec<&Message> {
        let answers = self.written.iter();
        answers.filter(|one| !one.run_id.is_empty()).collect()
    }

    fn is_deleted(&self, message: &Message) -> bool {
        self.deleted.contains(&message.id)
    }

    fn last_seq(&self) -> i64 {
        self.written.last().map_or(0, |message| message.seq)
    }

    fn seqs(&self) -> Vec<i64> {
        let there = self.written.iter().filter(|one| !self.is_deleted(one));
        there.map(|message| message.seq).collect()
    }
}

/// Does the steps. What is refused is refused for a documented reason.
async fn walk(world: &World, user: &str, thread: &str, steps: Vec<Step>) -> Held {
    let mut held = Held::default();
    let key_of = |key: Option<u8>| key.map(|key| format!("{thread} {key}")).unwrap_or_default();
    for step in steps {
        let answers = held.answers();
        match step {
            Step::Append { content, key } => {
                match world
                    .append(keyed(user, thread, &content, &key_of(key)))
                    .await
                {
                    Ok(exchange) if exchange.replayed => {}
                    Ok(exchange) => held
                        .written
                        .extend(exchange.question.into_iter().chain(exchange.answer)),
                    Err(reason) => assert_eq!(reason, Reason::KeyReused),
                }
            }
            Step::Say { content, key } => {
                let request = AppendMessageRequest {
                    client_msg_id: key_of(key),
                    ..said(user, thread, &content)
                };
                match world.say(request).await {
                    Ok(message) if message.seq <= held.last_seq() => {}
                    Ok(message) => held.written.push(message),
                    Err(reason) => assert_eq!(reason, Reason::KeyReused),
                }
            }
            Step::Delete { message } if !held.written.is_empty() => {
                let message = message.get(&held.written);
                let outcome = world.delete_message(user, message.id).await;
                assert_eq!(outcome.is_err(), held.is_deleted(message));
                held.deleted.insert(message.id);
            }
            Step::Extend {
                answer,
                offset,
                fence,
                text,
            } if !answers.is_empty() => {
                let answer = answer.get(&answers);
                let refused = world
                    .checkpoint(checkpoint(answer, fence, offset, &text))
                    .await
                    .err();
                if held.is_deleted(answer) {
                    assert_eq!(refused, Some(Reason::MessageNotFound));
                } else {
                    assert!(matches!(refused, None | Some(Reason::StaleWrite)));
                }
            }
            Step::End { answer, content } if !answers.is_empty() => {
                let answer = answer.get(&answers);
                let ended = world.finish(finish(answer, 3, content.as_deref())).await;
                assert_eq!(ended.is_err(), held.is_deleted(answer));
            }
            Step::Delete { .. } | Step::Extend { .. } | Step::End { .. } => {}
        }
    }
    held
}

/// The whole log, read page by page from one end.
async fn read(world: &World, whole: ListMessagesRequest) -> Vec<Message> {
    let mut log: Vec<Message> = Vec::new();
    let mut request = whole;
    loop {
        let (page, more) = world.page(request.clone()).await.unwrap();
        assert!(!page.is_empty() || !more);
        assert!(page.len() <= request.limit as usize);
        if request.newest {
            request.before_seq = page.first().map_or(1, |message| message.seq);
            log.splice(0..0, page);
        } else {
            request.after_seq = page.last().map_or(0, |message| message.seq);
            log.extend(page);
        }
        if !more {
            return log;
        }
    }
}

#[test]
fn the_log_has_no_gap_and_pages_tile_it_from_both_ends() {
    let runtime = Runtime::new().unwrap();
    for world in runtime.block_on(World::both()) {
        let config = Config {
            cases: 24,
            failure_persistence: None,
            ..Config::default()
        };
        let property = |(steps, limit): (Vec<Step>, u32)| {
            runtime.block_on(async {
                let user = uuid();
                let thread = world.thread(&user).await.id;
                let held = walk(&world, &user, &thread, steps).await;
                let written = seqs(&held.written);
                prop_assert_eq!(&written, &(1..=held.last_seq()).collect::<Vec<_>>());
                let known = world.get(&user, &thread).await.unwrap();
                prop_assert_eq!(known.last_seq, held.last_seq());
                let forwards = ListMessagesRequest {
                    limit,
                    ..all(&user, &thread)
                };
                let backwards = ListMessagesRequest {
                    newest: true,
                    ..forwards.clone()
                };
                let log = read(&world, forwards).await;
                prop_assert_eq!(seqs(&log), held.seqs());
                prop_assert_eq!(read(&world, backwards).await, log);
                Ok(())
            })
        };
        TestRunner::new(config)
            .run(&(steps(), 1..12_u32), property)
            .unwrap();
    }
}
