//! Making, finding, listing and removing threads; their summary.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::threads::locate_request::By;
use confab_rpc::threads::{
    CreateThreadRequest, GetThreadRequest, ListThreadsRequest, Located, ReplaceSummaryRequest,
    Thread, ThreadKind, UpdateThreadRequest,
};

use crate::world::{World, new_thread, outcome, question, said, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_made_as_asked_for() {
    for world in World::both().await {
        let user = uuid();
        let made = world
            .create(CreateThreadRequest {
                title: "Ti\0tle".into(),
                ..new_thread(&user)
            })
            .await
            .unwrap();
        assert_eq!(made.owner_id, user);
        assert_eq!(made.kind(), ThreadKind::Assistant);
        assert_eq!(made.title, "Title");
        assert_eq!(made.instructions, "Be kind.");
        assert_eq!(made.model_id, Some(4));
        assert_eq!((made.last_seq, made.summary_seq), (0, 0));
        assert_eq!(made.created_at.unwrap().seconds, 1_800_000_000);
        assert_eq!(world.get(&user, &made.id).await.unwrap(), made);
        let untitled = CreateThreadRequest {
            title: String::new(),
            model_id: None,
            ..new_thread(&user)
        };
        assert_eq!(world.create(untitled).await.unwrap().model_id, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_taken_once() {
    for world in World::both().await {
        let (user, id) = (uuid(), uuid());
        let request = CreateThreadRequest {
            id: id.clone(),
            ..new_thread(&user)
        };
        let made = world.create(request.clone()).await.unwrap();
        assert_eq!(made.id, id);
        let again = CreateThreadRequest {
            title: "Other".into(),
            ..request.clone()
        };
        assert_eq!(world.create(again).await.unwrap(), made);
        let anothers = CreateThreadRequest {
            user_id: uuid(),
            ..request
        };
        assert_eq!(world.create(anothers).await, Err(Reason::Invalid));
        assert_eq!(world.list(&user, 0, "").await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_thread_is_refused() {
    for world in World::both().await {
        let good = new_thread(&uuid());
        let bad = [
            CreateThreadRequest {
                kind: ThreadKind::Direct.into(),
                ..good.clone()
            },
            CreateThreadRequest {
                kind: ThreadKind::Group.into(),
                ..good.clone()
            },
            CreateThreadRequest {
                kind: 99,
                ..good.clone()
            },
            CreateThreadRequest {
                title: "é".repeat(128),
                ..good.clone()
            },
            CreateThreadRequest {
                instructions: "x".repeat((64 << 10) + 1),
                ..good.clone()
            },
            CreateThreadRequest {
                id: "seven".into(),
                ..good.clone()
            },
            CreateThreadRequest {
                user_id: "nobody".into(),
                ..good.clone()
            },
        ];
        for request in bad {
            assert_eq!(world.create(request).await, Err(Reason::Invalid));
        }
        let longest = CreateThreadRequest {
            title: "x".repeat(255),
            instructions: "x".repeat(64 << 10),
            ..good
        };
        assert!(world.create(longest).await.is_ok());
    }
}

fn ids(threads: &[Thread]) -> Vec<&str> {
    threads.iter().map(|thread| thread.id.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_listed_by_their_last_message() {
    for world in World::both().await {
        let user = uuid();
        let mut made = Vec::new();
        // Two at each moment, less than a second apart: the number decides between the two.
        for moment in 0..6 {
            made.push(world.thread(&user).await.id);
            if moment % 2 == 1 {
                world.clock.advance(TimeDelta::microseconds(250_001));
            }
        }
        world.thread(&uuid()).await;
        let woken = made.remove(1);
        made.push(woken.clone());
        world
            .append(question(&user, &woken, "hello"))
            .await
            .unwrap();
        made.reverse();
        let listed = world.list(&user, 0, "").await.unwrap();
        assert_eq!(ids(&listed), made);
        assert_eq!(listed[0].last_seq, 2);
        assert_eq!(listed[0].title, "Title");
        assert!(listed.iter().all(|thread| thread.instructions.is_empty()));

        let mut paged = Vec::new();
        let mut before = String::new();
        loop {
            let page = world.list(&user, 2, &before).await.unwrap();
            let Some(last) = page.last() else { break };
            before.clone_from(&last.id);
            paged.extend(page);
        }
        assert_eq!(ids(&paged), made);
        let direct = ListThreadsRequest {
            user_id: user,
            kind: ThreadKind::Direct.into(),
            ..Default::default()
        };
        let listed = outcome(world.client().list_threads(direct).await).unwrap();
        assert_eq!(listed.threads, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_thread_is_gone_with_its_messages_and_keys() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let mut request = question(&user, &thread, "hello");
        request.client_msg_id = "key".into();
        world.append(request.clone()).await.unwrap();
        world.delete(&user, &thread).await.unwrap();
        assert_eq!(world.get(&user, &thread).await, Err(Reason::ThreadNotFound));
        assert_eq!(
            world.append(request.clone()).await,
            Err(Reason::ThreadNotFound)
        );
        assert_eq!(
            world.delete(&user, &thread).await,
            Err(Reason::ThreadNotFound)
        );
        request.thread_id = world.thread(&user).await.id;
        assert!(!world.append(request).await.unwrap().replayed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_found_by_its_number() {
    for world in World::both().await {
        let user = uuid();
        let made = world.thread(&user).await;
        let get = async |user_id: &str, number| {
            let request = GetThreadRequest {
                user_id: user_id.into(),
                thread_id: String::new(),
                number,
            };
            outcome(world.client().get_thread(request).await)
        };
        assert_eq!(get(&user, made.number).await, Ok(made.clone()));
        for (user, number) in [(user, made.number + 1), (uuid(), made.number)] {
            assert_eq!(get(&user, number).await, Err(Reason::ThreadNotFound));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_owner_renames_a_thread() {
    for world in World::both().await {
        let user = uuid();
        let made = world.thread(&user).await;
        world.clock.advance(TimeDelta::seconds(1));
        let update = async |user_id: &str, title: Option<&str>| {
            let request = UpdateThreadRequest {
                user_id: user_id.into(),
                thread_id: made.id.clone(),
                title: title.map(Into::into),
            };
            outcome(world.client().update_thread(request).await)
        };
        let renamed = Thread {
            title: "New".into(),
            ..made.clone()
        };
        assert_eq!(update(&user, Some("Ne\0w")).await, Ok(renamed.clone()));
        assert_eq!(update(&user, None).await, Ok(renamed.clone()));
        let long = "x".repeat(256);
        assert_eq!(update(&user, Some(&long)).await, Err(Reason::Invalid));
        for stranger in [uuid(), "nobody".into()] {
            for title in [None, Some("Mine")] {
                let refused = update(&stranger, title).await;
                assert_eq!(refused, Err(Reason::ThreadNotFound));
            }
        }
        assert_eq!(world.get(&user, &made.id).await, Ok(renamed));
        assert_eq!(update(&user, Some("")).await.unwrap().title, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_learns_whose_a_thread_is() {
    for world in World::both().await {
        let user = uuid();
        let answer = world.answer(&user).await;
        let thread = world.get(&user, &answer.thread_id).await.unwrap();
        let located = Located {
            owner_id: user,
            thread_id: thread.id,
            number: thread.number,
        };
        let by_number = |number| world.locate(Some(By::Number(number)));
        assert_eq!(by_number(thread.number).await, Ok(located.clone()));
        assert_eq!(world.locate_message(answer.id).await, Ok(located));
        for nothing in [Some(By::Number(thread.number + 1)), None] {
            assert_eq!(world.locate(nothing).await, Err(Reason::ThreadNotFound));
        }
        let nothing = world.locate_message(answer.id + 1).await;
        assert_eq!(nothing, Err(Reason::MessageNotFound));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_replaced_by_who_knows_the_last_one() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        world
            .append(question(&user, &thread, "hello"))
            .await
            .unwrap();
        let replace = async |expected_seq, summary_seq| {
            let request = ReplaceSummaryRequest {
                user_id: user.clone(),
                thread_id: thread.clone(),
                expected_seq,
                summary: format!("up to\0 {summary_seq}"),
                summary_seq,
                expected_deletions: 0,
            };
            outcome(world.client().replace_summary(request).await)
        };
        assert_eq!(replace(0, 3).await, Err(Reason::Invalid));
        assert_eq!(replace(1, 0).await, Err(Reason::Invalid));
        let replaced = replace(0, 1).await.unwrap();
        assert_eq!(replaced.summary, "up to 1");
        assert_eq!(replaced.summary_seq, 1);
        assert_eq!(replace(0, 2).await, Err(Reason::StaleWrite));
        assert_eq!(replace(1, 2).await.unwrap().summary_seq, 2);
        let stored = world.get(&user, &thread).await.unwrap();
        assert_eq!(stored.summary, "up to 2");
        assert_eq!(stored.instructions, "Be kind.");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_does_not_live_on_in_a_summary() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let mut messages = Vec::new();
        for content in ["one", "two", "three", "four"] {
            messages.push(world.say(said(&user, &thread, content)).await.unwrap());
        }
        let replace = async |expected_seq, summary_seq, expected_deletions| {
            let request = ReplaceSummaryRequest {
                user_id: user.clone(),
                thread_id: thread.clone(),
                expected_seq,
                summary: format!("up to {summary_seq}"),
                summary_seq,
                expected_deletions,
            };
            outcome(world.client().replace_summary(request).await)
        };
        replace(0, 2, 0).await.unwrap();
        // Outside of the summary: it stands, but one that goes on from it may have read what is gone.
        world.delete_message(&user, messages[2].id).await.unwrap();
        let known = world.get(&user, &thread).await.unwrap();
        assert_eq!((known.summary.as_str(), known.summary_seq), ("up to 2", 2));
        assert_eq!(replace(2, 3, 0).await, Err(Reason::StaleWrite));
        assert_eq!(replace(2, 3, 1).await.unwrap().summary_seq, 3);
        world.delete_message(&user, messages[0].id).await.unwrap();
        let known = world.get(&user, &thread).await.unwrap();
        assert_eq!((known.summary.as_str(), known.summary_seq), ("", 0));
        assert_eq!(replace(3, 4, 2).await, Err(Reason::StaleWrite));
        assert_eq!(replace(0, 4, 1).await, Err(Reason::StaleWrite));
        assert_eq!(replace(0, 4, 2).await.unwrap().deletions, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_summaries_at_the_same_time_one_wins() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        world
            .append(question(&user, &thread, "hello"))
            .await
            .unwrap();
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..10 {
            let mut client = world.client();
            let request = ReplaceSummaryRequest {
                user_id: user.clone(),
                thread_id: thread.clone(),
                expected_seq: 0,
                summary: n.to_string(),
                summary_seq: 2,
                expected_deletions: 0,
            };
            calls.spawn(async move { outcome(client.replace_summary(request).await) });
        }
        let outcomes = calls.join_all().await;
        let won: Vec<_> = outcomes.iter().flatten().collect();
        assert_eq!(won.len(), 1);
        assert_eq!(
            world.get(&user, &thread).await.unwrap().summary,
            won[0].summary
        );
    }
}
