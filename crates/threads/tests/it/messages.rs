//! Single messages: appending and reading them, and answers without a question of their own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::threads::{
    AppendExchangeRequest, AppendMessageRequest, AttachmentRef, AuthorKind, GetMessageRequest,
    MessageState,
};

use crate::world::{
    World, all, answer_only, checkpoint, finish, keyed, new_thread, outcome, question, said, uuid,
};

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_have_said_anything_in_any_order() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await;
        world.clock.advance(TimeDelta::seconds(1));
        let script = [
            (AuthorKind::System, "Be\0 brief.", ""),
            (AuthorKind::Person, "one", ""),
            (AuthorKind::Person, "two", ""),
            (AuthorKind::Model, "three", "gpt"),
            (AuthorKind::Model, "four", ""),
        ];
        let mut written = Vec::new();
        for (seq, (author, content, model)) in (1..).zip(script) {
            let request = AppendMessageRequest {
                author_kind: author.into(),
                model: model.into(),
                ..said(&user, &thread.id, content)
            };
            let message = world.say(request).await.unwrap();
            assert_eq!((message.seq, message.author_kind()), (seq, author));
            assert_eq!(message.content, content.replace('\0', ""));
            assert_eq!(
                (&message.author_id, &message.thread_id),
                (&user, &thread.id)
            );
            assert_eq!(message.model, model);
            assert_eq!(message.state(), MessageState::Complete);
            assert_eq!((message.answers, message.run_id.as_str()), (0, ""));
            written.push(message);
        }
        let exchange = world.append(question(&user, &thread.id, "five")).await;
        let exchange = exchange.unwrap();
        written.extend([exchange.question.unwrap(), exchange.answer.unwrap()]);
        let (log, more) = world.page(all(&user, &thread.id)).await.unwrap();
        assert_eq!((&log, more), (&written, false));
        let known = world.get(&user, &thread.id).await.unwrap();
        assert_eq!(known.last_seq, 7);
        assert_eq!(known.active_at, written[0].created_at);
        assert_ne!(known.active_at, thread.active_at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_message_is_refused() {
    for world in World::both().await {
        let user = uuid();
        let good = said(&user, &world.thread(&user).await.id, "hello");
        let bad = [
            AppendMessageRequest {
                content: "\0".into(),
                ..good.clone()
            },
            AppendMessageRequest {
                content: "x".repeat((128 << 10) + 1),
                ..good.clone()
            },
            AppendMessageRequest {
                author_kind: 0,
                ..good.clone()
            },
            AppendMessageRequest {
                author_kind: 99,
                ..good.clone()
            },
            AppendMessageRequest {
                client_msg_id: "x".repeat(256),
                ..good.clone()
            },
            AppendMessageRequest {
                model: "gpt".into(),
                ..good.clone()
            },
            AppendMessageRequest {
                author_kind: AuthorKind::Model.into(),
                model: "x".repeat(256),
                ..good.clone()
            },
        ];
        for request in bad {
            assert_eq!(world.say(request).await, Err(Reason::Invalid));
        }
        for user_id in [uuid(), "nobody".into()] {
            let request = AppendMessageRequest {
                user_id,
                ..good.clone()
            };
            assert_eq!(world.say(request).await, Err(Reason::ThreadNotFound));
        }
        let longest = AppendMessageRequest {
            content: "x".repeat(128 << 10),
            client_msg_id: "x".repeat(255),
            ..good
        };
        assert_eq!(world.say(longest).await.unwrap().seq, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_message_of_one_user() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let first = AppendMessageRequest {
            client_msg_id: "key".into(),
            ..said(&user, &thread, "hello")
        };
        let original = world.say(first.clone()).await.unwrap();
        world.clock.advance(TimeDelta::seconds(9));
        assert_eq!(world.say(first.clone()).await.unwrap(), original);
        let others = [
            AppendMessageRequest {
                content: "goodbye".into(),
                ..first.clone()
            },
            AppendMessageRequest {
                thread_id: world.thread(&user).await.id,
                ..first.clone()
            },
            AppendMessageRequest {
                author_kind: AuthorKind::System.into(),
                ..first.clone()
            },
        ];
        for request in others {
            assert_eq!(world.say(request).await, Err(Reason::KeyReused));
        }
        let asked = world.append(keyed(&user, &thread, "hello", "key")).await;
        assert_eq!(asked, Err(Reason::KeyReused));
        world
            .append(keyed(&user, &thread, "hello", "another"))
            .await
            .unwrap();
        let said = AppendMessageRequest {
            client_msg_id: "another".into(),
            ..first.clone()
        };
        assert_eq!(world.say(said).await, Err(Reason::KeyReused));
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 3);
        let neighbour = uuid();
        let theirs = AppendMessageRequest {
            thread_id: world.thread(&neighbour).await.id,
            user_id: neighbour,
            ..first
        };
        assert_eq!(world.say(theirs).await.unwrap().seq, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_alone_answers_the_newest_person() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let request = answer_only(&user, &thread);
        assert_eq!(world.append(request).await, Err(Reason::Invalid));
        let system = AppendMessageRequest {
            author_kind: AuthorKind::System.into(),
            ..said(&user, &thread, "Say something.")
        };
        world.say(system).await.unwrap();
        let unasked = world.append(answer_only(&user, &thread)).await.unwrap();
        assert_eq!((unasked.question, unasked.replayed), (None, false));
        assert_eq!(unasked.answer.unwrap().answers, 0);
        let asked = world.say(said(&user, &thread, "hello")).await.unwrap();
        let request = answer_only(&user, &thread);
        let exchange = world.append(request.clone()).await.unwrap();
        let answer = exchange.answer.clone().unwrap();
        assert_eq!((answer.seq, answer.answers), (4, asked.id));
        assert_eq!(answer.state(), MessageState::Streaming);
        assert_eq!(answer.author_kind(), AuthorKind::Model);
        assert_eq!(
            (&answer.run_id, &answer.model),
            (&request.run_id, &request.model)
        );
        assert_eq!(exchange.thread.unwrap().last_seq, 4);
        let again = world.append(request).await.unwrap();
        assert!(again.replayed);
        assert_eq!((again.question, again.answer), (None, Some(answer)));
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_one_answer_with_its_question_or_alone() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let asked = question(&user, &thread, "hello");
        world.append(asked.clone()).await.unwrap();
        let alone = answer_only(&user, &thread);
        world.append(alone.clone()).await.unwrap();
        let of_the_first = AppendExchangeRequest {
            run_id: asked.run_id.clone(),
            ..alone.clone()
        };
        // It answers the first one's question, but is not that exchange.
        let of_the_second = AppendExchangeRequest {
            run_id: alone.run_id.clone(),
            ..asked
        };
        let elsewhere = AppendExchangeRequest {
            thread_id: thread_with_a_message(&world, &user).await,
            ..alone.clone()
        };
        for request in [of_the_first, of_the_second, elsewhere] {
            assert_eq!(world.append(request).await, Err(Reason::KeyReused));
        }
        let neighbour = uuid();
        let theirs = AppendExchangeRequest {
            thread_id: thread_with_a_message(&world, &neighbour).await,
            user_id: neighbour,
            ..alone.clone()
        };
        assert_eq!(world.append(theirs).await, Err(Reason::Invalid));
        let asking = [
            AppendExchangeRequest {
                content: "hello".into(),
                ..alone.clone()
            },
            AppendExchangeRequest {
                attachments: vec![AttachmentRef::default()],
                ..alone.clone()
            },
            AppendExchangeRequest {
                client_msg_id: "key".into(),
                ..alone.clone()
            },
            AppendExchangeRequest {
                new_thread: Some(new_thread(&user)),
                ..alone.clone()
            },
        ];
        for request in asking {
            assert_eq!(world.append(request).await, Err(Reason::Invalid));
        }
        let strangers = AppendExchangeRequest {
            user_id: uuid(),
            run_id: uuid(),
            ..alone
        };
        assert_eq!(world.append(strangers).await, Err(Reason::ThreadNotFound));
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 3);
    }
}

async fn thread_with_a_message(world: &World, user: &str) -> String {
    let thread = world.thread(user).await.id;
    world.say(said(user, &thread, "hello")).await.unwrap();
    thread
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_read_from_any_character_on() {
    for world in World::both().await {
        let user = uuid();
        let answer = world.answer(&user).await;
        let text = checkpoint(&answer, 1, 0, "né😀");
        world.checkpoint(text).await.unwrap();
        let read = async |content_from| {
            let request = GetMessageRequest {
                user_id: user.clone(),
                message_id: answer.id,
                content_from,
            };
            outcome(world.client().get_message(request).await).map(|message| message.content)
        };
        for (from, text) in [(0, "né😀"), (1, "é😀"), (3, "😀"), (7, "")] {
            assert_eq!(read(from).await.unwrap(), text);
        }
        for from in [-1, 2, 8, i64::MAX] {
            assert_eq!(read(from).await, Err(Reason::Invalid));
        }
        assert_eq!(world.message(&user, answer.id).await.unwrap().seq, 2);
        for (stranger, id) in [
            (uuid(), answer.id),
            ("nobody".into(), answer.id),
            (user.clone(), 0),
        ] {
            assert_eq!(
                world.message(&stranger, id).await,
                Err(Reason::MessageNotFound)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_the_order_asked_for() {
    for world in World::both().await {
        let user = uuid();
        let (one, two) = (world.answer(&user).await, world.answer(&user).await);
        let theirs = world.answer(&uuid()).await;
        let asked = [two.id, theirs.id, 0, one.id, one.answers, two.id];
        let (found, more) = world.messages(&user, &asked).await.unwrap();
        assert!(!more);
        let ids: Vec<i64> = found.iter().map(|message| message.id).collect();
        assert_eq!(ids, [two.id, one.id, one.answers]);
        assert_eq!((&found[0], &found[1]), (&two, &one));
        assert_eq!(world.messages(&user, &[]).await, Ok((vec![], false)));
        assert!(world.messages(&user, &[one.id; 500]).await.is_ok());
        let too_many = world.messages(&user, &[one.id; 501]).await;
        assert_eq!(too_many, Err(Reason::Invalid));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_long_messages_fit_into_a_reply() {
    for world in World::both().await {
        let user = uuid();
        let mut ids = Vec::new();
        for _ in 0..3 {
            let answer = world.answer(&user).await;
            let long = "é".repeat(500 << 10);
            world.finish(finish(&answer, 1, Some(&long))).await.unwrap();
            ids.push(answer.id);
        }
        let (found, more) = world.messages(&user, &ids).await.unwrap();
        assert_eq!((found.len(), more), (2, true));
        let (found, more) = world.messages(&user, &ids[2..]).await.unwrap();
        assert_eq!((found[0].id, found.len(), more), (ids[2], 1, false));
    }
}
