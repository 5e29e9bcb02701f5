//! Appending a question and the place of its answer: in order, once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::threads::{
    AppendExchangeRequest, AttachmentRef, AuthorKind, CreateThreadRequest, Exchange,
    ListMessagesRequest, MessageState,
};
use tokio::task::JoinSet;

use crate::world::{World, all, keyed, new_thread, outcome, question, uuid};

fn file(name: &str) -> AttachmentRef {
    AttachmentRef {
        id: uuid(),
        name: name.into(),
        ..AttachmentRef::default()
    }
}

fn pair(exchange: &Exchange) -> (i64, i64) {
    let question = exchange.question.as_ref().unwrap();
    let answer = exchange.answer.as_ref().unwrap();
    (question.id, answer.id)
}

/// What all of these calls got, made at the same time.
async fn at_once(
    world: &World,
    requests: impl Iterator<Item = AppendExchangeRequest>,
) -> Vec<Exchange> {
    let mut calls = JoinSet::new();
    for request in requests {
        let mut client = world.client();
        calls.spawn(async move { outcome(client.append_exchange(request).await).unwrap() });
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_and_its_answer_stand_next_to_each_other() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.clock.advance(TimeDelta::seconds(1));
        let mut request = question(&user, &thread.id, "he\0llo");
        request.attachments = vec![file("a.txt"), file("b \"quoted\" é.txt")];
        let exchange = world.append(request.clone()).await.unwrap();
        assert!(!exchange.replayed);
        let asked = exchange.question.unwrap();
        assert_eq!(asked.seq, 1);
        assert_eq!(asked.content, "hello");
        assert_eq!(asked.author_kind(), AuthorKind::Person);
        assert_eq!(asked.state(), MessageState::Complete);
        assert_eq!(asked.attachments, request.attachments);
        assert_eq!((asked.answers, asked.run_id.as_str()), (0, ""));
        let answer = exchange.answer.unwrap();
        assert_eq!(answer.seq, 2);
        assert_eq!(answer.content, "");
        assert_eq!(answer.author_kind(), AuthorKind::Model);
        assert_eq!(answer.author_id, user);
        assert_eq!(answer.state(), MessageState::Streaming);
        assert_eq!(answer.answers, asked.id);
        assert_eq!(answer.run_id, request.run_id);
        assert_eq!(answer.model, "gpt");
        let known = exchange.thread.unwrap();
        assert_eq!(known.last_seq, 2);
        assert_eq!(known.active_at, asked.created_at);
        assert_ne!(known.active_at, thread.active_at);
        assert_eq!(world.get(&user, &thread.id).await.unwrap(), known);
        let (log, more) = world.page(all(&user, &thread.id)).await.unwrap();
        assert_eq!((log, more), (vec![asked, answer], false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_made_with_its_first_exchange() {
    for world in World::both().await {
        let user = uuid();
        let request = |thread: &str, id: &str| AppendExchangeRequest {
            new_thread: Some(CreateThreadRequest {
                id: id.into(),
                ..new_thread(&user)
            }),
            ..question(&user, thread, "hello")
        };
        let made = world.append(request("", "")).await.unwrap().thread.unwrap();
        assert_eq!(made.instructions, "Be kind.");
        assert_eq!(made.last_seq, 2);
        let id = uuid();
        let named = world.append(request(&id, "")).await.unwrap();
        assert_eq!(named.thread.unwrap().id, id);
        let there = world.append(request("", &id)).await.unwrap();
        assert_eq!(there.thread.unwrap().last_seq, 4);
        assert_eq!(
            world.append(request(&uuid(), &id)).await,
            Err(Reason::Invalid)
        );
        let mut anothers = request("", "");
        anothers.new_thread.as_mut().unwrap().user_id = uuid();
        assert_eq!(world.append(anothers).await, Err(Reason::Invalid));
        assert_eq!(world.list(&user, 0, "").await.unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_named_is_not_made() {
    for world in World::both().await {
        let user = uuid();
        assert_eq!(
            world.append(question(&user, &uuid(), "hello")).await,
            Err(Reason::ThreadNotFound)
        );
        assert_eq!(world.list(&user, 0, "").await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_question_is_refused() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let good = question(&user, &thread, "hello");
        let bad = [
            AppendExchangeRequest {
                content: "x".repeat((128 << 10) + 1),
                ..good.clone()
            },
            AppendExchangeRequest {
                client_msg_id: "x".repeat(256),
                ..good.clone()
            },
            AppendExchangeRequest {
                client_msg_id: "nul\0".into(),
                ..good.clone()
            },
            AppendExchangeRequest {
                run_id: "seven".into(),
                ..good.clone()
            },
            AppendExchangeRequest {
                attachments: (0..11).map(|_| file("a")).collect(),
                ..good.clone()
            },
            AppendExchangeRequest {
                attachments: vec![file(&"x".repeat(256))],
                ..good.clone()
            },
            AppendExchangeRequest {
                attachments: vec![AttachmentRef {
                    id: "seven".into(),
                    name: "a".into(),
                    ..AttachmentRef::default()
                }],
                ..good.clone()
            },
            AppendExchangeRequest {
                model: "x".repeat(256),
                ..good.clone()
            },
        ];
        for request in bad {
            assert_eq!(world.append(request).await, Err(Reason::Invalid));
        }
        let largest = AppendExchangeRequest {
            content: "x".repeat(128 << 10),
            client_msg_id: "x".repeat(255),
            attachments: (0..10).map(|_| file(&"x".repeat(255))).collect(),
            ..good
        };
        let exchange = world.append(largest).await.unwrap();
        assert_eq!(exchange.thread.unwrap().last_seq, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_leave_no_gap() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let requests = (0..50).map(|n| question(&user, &thread, &n.to_string()));
        let exchanges = at_once(&world, requests).await;
        for exchange in &exchanges {
            let question = exchange.question.as_ref().unwrap();
            assert_eq!(exchange.answer.as_ref().unwrap().seq, question.seq + 1);
        }
        let (log, _) = world.page(all(&user, &thread)).await.unwrap();
        let seqs: Vec<i64> = log.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_finds_the_original() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let first = world
            .append(keyed(&user, &thread, "hello", "key"))
            .await
            .unwrap();
        world.clock.advance(TimeDelta::seconds(9));
        // NUL is dropped before anything is compared; the run is another one.
        let again = world
            .append(keyed(&user, &thread, "hel\0lo", "key"))
            .await
            .unwrap();
        assert!(again.replayed);
        assert_eq!(
            (&again.question, &again.answer),
            (&first.question, &first.answer)
        );
        assert_eq!(again.thread, first.thread);
        let (log, _) = world.page(all(&user, &thread)).await.unwrap();
        assert_eq!(log.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_question_of_one_user() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let first = keyed(&user, &thread, "hello", "key");
        world.append(first.clone()).await.unwrap();
        let others = [
            keyed(&user, &thread, "goodbye", "key"),
            keyed(&user, &world.thread(&user).await.id, "hello", "key"),
            AppendExchangeRequest {
                attachments: vec![file("a.txt")],
                ..first.clone()
            },
            AppendExchangeRequest {
                client_msg_id: "another".into(),
                ..first.clone()
            },
        ];
        for request in others {
            assert_eq!(world.append(request).await, Err(Reason::KeyReused));
        }
        let neighbour = uuid();
        let theirs = world.thread(&neighbour).await.id;
        let exchange = world
            .append(keyed(&neighbour, &theirs, "hello", "key"))
            .await
            .unwrap();
        assert!(!exchange.replayed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_run_finds_the_original() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let request = question(&user, &thread, "hello");
        let first = world.append(request.clone()).await.unwrap();
        let again = world.append(request.clone()).await.unwrap();
        assert!(again.replayed);
        assert_eq!(pair(&again), pair(&first));
        let other = AppendExchangeRequest {
            content: "goodbye".into(),
            ..request.clone()
        };
        assert_eq!(world.append(other).await, Err(Reason::KeyReused));
        let neighbour = uuid();
        let theirs = AppendExchangeRequest {
            run_id: request.run_id,
            ..question(&neighbour, &world.thread(&neighbour).await.id, "hello")
        };
        assert_eq!(world.append(theirs).await, Err(Reason::Invalid));
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_identical_calls_one_writes() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let by_key = keyed(&user, &thread, "hello", "key");
        let by_run = question(&user, &thread, "hello");
        for (request, last_seq) in [(by_key, 2), (by_run, 4)] {
            let exchanges = at_once(&world, std::iter::repeat_n(request, 50)).await;
            let replayed = exchanges.iter().filter(|exchange| exchange.replayed);
            assert_eq!(replayed.count(), 49);
            assert!(exchanges.iter().all(|one| pair(one) == pair(&exchanges[0])));
            let known = world.get(&user, &thread).await.unwrap();
            assert_eq!(known.last_seq, last_seq);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_identical_calls_make_one_thread() {
    for world in World::both().await {
        let user = uuid();
        let requests = (0..50).map(|_| AppendExchangeRequest {
            new_thread: Some(new_thread(&user)),
            ..keyed(&user, "", "hello", "key")
        });
        let exchanges = at_once(&world, requests).await;
        let threads = world.list(&user, 0, "").await.unwrap();
        assert_eq!(threads.len(), 1);
        for exchange in &exchanges {
            assert_eq!(pair(exchange), pair(&exchanges[0]));
            assert_eq!(exchange.thread.as_ref().unwrap().id, threads[0].id);
        }
        let request = ListMessagesRequest {
            newest: true,
            ..all(&user, &threads[0].id)
        };
        assert_eq!(world.page(request).await.unwrap().0.len(), 2);
    }
}
