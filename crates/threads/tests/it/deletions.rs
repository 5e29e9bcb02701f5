//! What is deleted is gone, and stays gone.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::threads::{AppendMessageRequest, ListMessagesRequest, Message};

use crate::world::{World, all, answer_only, checkpoint, finish, keyed, said, uuid};

fn contents(log: &[Message]) -> Vec<&str> {
    log.iter().map(|message| message.content.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_is_shown_by_no_call() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let mut said_by = Vec::new();
        for content in ["one", "two", "three", "four"] {
            said_by.push(world.say(said(&user, &thread, content)).await.unwrap());
        }
        let before = world.get(&user, &thread).await.unwrap();
        for stranger in [uuid(), "nobody".into()] {
            let refused = world.delete_message(&stranger, said_by[1].id).await;
            assert_eq!(refused, Err(Reason::MessageNotFound));
        }
        for gone in [&said_by[1], &said_by[3]] {
            world.clock.advance(TimeDelta::seconds(1));
            world.delete_message(&user, gone.id).await.unwrap();
            let again = world.delete_message(&user, gone.id).await;
            assert_eq!(again, Err(Reason::MessageNotFound));
            let read = world.message(&user, gone.id).await;
            assert_eq!(read, Err(Reason::MessageNotFound));
            let located = world.locate_message(gone.id).await;
            assert_eq!(located, Err(Reason::MessageNotFound));
        }
        let ids: Vec<i64> = said_by.iter().map(|message| message.id).collect();
        let (found, _) = world.messages(&user, &ids).await.unwrap();
        assert_eq!(contents(&found), ["one", "three"]);
        for (limit, newest, held, more) in [
            (0, false, vec!["one", "three"], false),
            (2, false, vec!["one", "three"], false),
            (1, false, vec!["one"], true),
            (1, true, vec!["three"], true),
        ] {
            let request = ListMessagesRequest {
                limit,
                newest,
                ..all(&user, &thread)
            };
            let (page, rest) = world.page(request).await.unwrap();
            assert_eq!((contents(&page), rest), (held, more));
        }
        let after = world.get(&user, &thread).await.unwrap();
        assert_eq!((after.last_seq, after.deletions), (4, 2));
        assert_eq!(after.active_at, before.active_at);
        // Its number is not given again.
        let next = world.say(said(&user, &thread, "five")).await.unwrap();
        assert_eq!(next.seq, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_question_is_not_answered() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let first = world.say(said(&user, &thread, "one")).await.unwrap();
        let second = world.say(said(&user, &thread, "two")).await.unwrap();
        world.delete_message(&user, second.id).await.unwrap();
        let exchange = world.append(answer_only(&user, &thread)).await.unwrap();
        let answer = exchange.answer.unwrap();
        assert_eq!(answer.answers, first.id);
        world.delete_message(&user, first.id).await.unwrap();
        world.delete_message(&user, answer.id).await.unwrap();
        let nothing = world.append(answer_only(&user, &thread)).await;
        assert_eq!(nothing, Err(Reason::Invalid));
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_does_not_write_what_was_deleted() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let message = AppendMessageRequest {
            client_msg_id: "message".into(),
            ..said(&user, &thread, "hello")
        };
        let written = world.say(message.clone()).await.unwrap();
        world.delete_message(&user, written.id).await.unwrap();
        assert_eq!(world.say(message).await, Err(Reason::KeyReused));

        // Without a key a repeated call is known by its run.
        for (key, question_goes) in [("a", true), ("b", false), ("", true), ("", false)] {
            let request = keyed(&user, &thread, "hello", key);
            let exchange = world.append(request.clone()).await.unwrap();
            let gone = if question_goes {
                exchange.question
            } else {
                exchange.answer
            };
            world.delete_message(&user, gone.unwrap().id).await.unwrap();
            assert_eq!(world.append(request).await, Err(Reason::KeyReused));
        }
        let alone = answer_only(&user, &thread);
        let answer = world.append(alone.clone()).await.unwrap().answer.unwrap();
        world.delete_message(&user, answer.id).await.unwrap();
        assert_eq!(world.append(alone).await, Err(Reason::KeyReused));
        assert_eq!(world.get(&user, &thread).await.unwrap().last_seq, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_answer_is_taken_from_its_writer() {
    for world in World::both().await {
        let user = uuid();
        let answer = world.answer(&user).await;
        let text = checkpoint(&answer, 1, 0, "so far");
        world.checkpoint(text.clone()).await.unwrap();
        world.delete_message(&user, answer.id).await.unwrap();
        assert_eq!(world.checkpoint(text).await, Err(Reason::MessageNotFound));
        let end = finish(&answer, 2, Some("whole"));
        assert_eq!(world.finish(end).await, Err(Reason::MessageNotFound));
        let (log, _) = world.page(all(&user, &answer.thread_id)).await.unwrap();
        assert_eq!(contents(&log), ["hello"]);
    }
}
