//! Writing an answer: fences, offsets, its one end.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::threads::{AnswerReceipt, CheckpointRequest, FinishRequest, MessageState};

use crate::world::{World, checkpoint, finish, outcome, question, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_grows_where_it_ends() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        world.clock.advance(TimeDelta::seconds(1));
        // In bytes: é has two, 😀 four.
        for (offset, text) in [(0, "é"), (2, "😀"), (6, ""), (6, "\0b")] {
            let reply = world.checkpoint(checkpoint(&answer, 1, offset, text)).await;
            let reply = reply.unwrap();
            assert_eq!(reply.content, "");
            assert_eq!(reply.id, answer.id);
            assert_eq!(reply.state(), MessageState::Streaming);
        }
        let stored = world.stored(&answer).await;
        assert_eq!(stored.content, "é😀 b");
        assert!(stored.updated_at.unwrap().seconds > stored.created_at.unwrap().seconds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_there_is_accepted_again() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let accepted = [
            (0, "né", "né"),
            (0, "né", "né"),
            (0, "n", "né"),
            (1, "é😀", "né😀"),
            (3, "😀", "né😀"),
            (0, "né😀!", "né😀!"),
            (8, "", "né😀!"),
        ];
        for (offset, text, content) in accepted {
            let request = checkpoint(&answer, 0, offset, text);
            world.checkpoint(request).await.unwrap();
            assert_eq!(world.stored(&answer).await.content, content);
        }
        let refused = [(9, "x"), (9, ""), (0, "ne"), (2, "é"), (3, "😁"), (7, "?")];
        for (offset, text) in refused {
            let request = checkpoint(&answer, 0, offset, text);
            assert_eq!(world.checkpoint(request).await, Err(Reason::StaleWrite));
        }
        let request = checkpoint(&answer, 0, -1, "x");
        assert_eq!(world.checkpoint(request).await, Err(Reason::Invalid));
        assert_eq!(world.stored(&answer).await.content, "né😀!");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_with_an_older_fence_is_refused() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let write = async |fence, offset, text| {
            let reply = world.checkpoint(checkpoint(&answer, fence, offset, text));
            reply.await.map(|_| ())
        };
        assert_eq!(write(1, 0, "one").await, Ok(()));
        // Nothing new, but from here on the newer writer has it.
        assert_eq!(write(3, 3, "").await, Ok(()));
        assert_eq!(write(2, 3, " two").await, Err(Reason::StaleWrite));
        assert_eq!(
            world.finish(finish(&answer, 2, Some("two"))).await,
            Err(Reason::StaleWrite)
        );
        assert_eq!(write(3, 3, " three").await, Ok(()));
        let ended = world.finish(finish(&answer, 3, None)).await.unwrap();
        assert_eq!(ended.content, "one three");
        assert_eq!(write(4, 9, "!").await, Err(Reason::StaleWrite));
        // The fence no longer matters: it has ended.
        assert_eq!(world.finish(finish(&answer, 0, None)).await, Ok(ended));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_once() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        world.clock.advance(TimeDelta::seconds(1));
        let first = finish(&answer, 1, Some("wh\0le"));
        let ended = world.finish(first).await.unwrap();
        assert_eq!(ended.content, "wh le");
        assert_eq!(ended.state(), MessageState::Complete);
        world.clock.advance(TimeDelta::seconds(1));
        let second = FinishRequest {
            state: MessageState::Failed.into(),
            ..finish(&answer, 2, Some("other"))
        };
        assert_eq!(world.finish(second).await.unwrap(), ended);
        assert_eq!(world.stored(&answer).await, ended);
        let thread = world.get(&answer.author_id, &answer.thread_id).await;
        assert_eq!(thread.unwrap().active_at, ended.updated_at);
    }
}

fn receipt() -> AnswerReceipt {
    AnswerReceipt {
        provider: "first".into(),
        input_tokens: 7,
        output_tokens: u32::MAX,
        cost_microdollars: 1 << 40,
        finish_reason: "stop".into(),
        first_token_ms: 250,
        duration_ms: 4_000,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_keeps_what_it_took_and_who_gave_it() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let request = FinishRequest {
            receipt: Some(receipt()),
            model: "claude".into(),
            ..finish(&answer, 1, Some("whole"))
        };
        let ended = world.finish(request.clone()).await.unwrap();
        assert_eq!(
            (&ended.receipt, ended.model.as_str()),
            (&Some(receipt()), "claude")
        );
        assert_eq!(ended.content, "whole");
        let second = FinishRequest {
            receipt: None,
            model: "other".into(),
            ..request
        };
        assert_eq!(world.finish(second).await.unwrap(), ended);
        assert_eq!(world.stored(&answer).await, ended);
        let other = world.answer(&uuid()).await;
        let ended = world.finish(finish(&other, 1, None)).await.unwrap();
        assert_eq!((ended.receipt, ended.model), (None, other.model));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_has_its_limits() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let with = |receipt: AnswerReceipt| FinishRequest {
            receipt: Some(receipt),
            ..finish(&answer, 1, None)
        };
        let bad = [
            AnswerReceipt {
                provider: "x".repeat(256),
                ..receipt()
            },
            AnswerReceipt {
                finish_reason: "x".repeat(256),
                ..receipt()
            },
            AnswerReceipt {
                cost_microdollars: -1,
                ..receipt()
            },
        ];
        for receipt in bad {
            assert_eq!(world.finish(with(receipt)).await, Err(Reason::Invalid));
        }
        let nul = AnswerReceipt {
            provider: "fi\0rst".into(),
            ..receipt()
        };
        let ended = world.finish(with(nul)).await.unwrap();
        assert_eq!(ended.receipt, Some(receipt()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_writer_may_begin_anew() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let restart = async |fence, offset, text| {
            let request = CheckpointRequest {
                restart: true,
                ..checkpoint(&answer, fence, offset, text)
            };
            world.checkpoint(request).await.map(|_| ())
        };
        world
            .checkpoint(checkpoint(&answer, 1, 0, "first try"))
            .await
            .unwrap();
        assert_eq!(restart(1, 0, "second").await, Err(Reason::StaleWrite));
        assert_eq!(restart(0, 0, "second").await, Err(Reason::StaleWrite));
        assert_eq!(restart(2, 3, "second").await, Err(Reason::Invalid));
        assert_eq!(world.stored(&answer).await.content, "first try");
        assert_eq!(restart(2, 0, "sec\0nd").await, Ok(()));
        // The reply may have been lost.
        assert_eq!(restart(2, 0, "sec\0nd").await, Ok(()));
        assert_eq!(world.stored(&answer).await.content, "sec nd");
        world
            .checkpoint(checkpoint(&answer, 2, 6, " try"))
            .await
            .unwrap();
        assert_eq!(restart(2, 0, "sec\0nd").await, Err(Reason::StaleWrite));
        let late = world.checkpoint(checkpoint(&answer, 1, 9, "!")).await;
        assert_eq!(late, Err(Reason::StaleWrite));
        assert_eq!(restart(3, 0, "").await, Ok(()));
        let ended = world.finish(finish(&answer, 3, None)).await.unwrap();
        assert_eq!(ended.content, "");
        assert_eq!(restart(4, 0, "third").await, Err(Reason::StaleWrite));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_ending_is_kept() {
    for world in World::both().await {
        for state in [
            MessageState::Complete,
            MessageState::Interrupted,
            MessageState::Failed,
            MessageState::Cancelled,
        ] {
            let answer = world.answer(&uuid()).await;
            let request = FinishRequest {
                state: state.into(),
                ..finish(&answer, 1, None)
            };
            world.finish(request).await.unwrap();
            assert_eq!(world.stored(&answer).await.state(), state);
        }
        let answer = world.answer(&uuid()).await;
        for state in [0, MessageState::Streaming.into(), 99] {
            let request = FinishRequest {
                state,
                ..finish(&answer, 1, None)
            };
            assert_eq!(world.finish(request).await, Err(Reason::Invalid));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_a_longest_length() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let most = "x".repeat(2 << 20);
        let write = async |offset, text: &str| {
            let reply = world.checkpoint(checkpoint(&answer, 1, offset, text));
            reply.await.map(|_| ())
        };
        assert_eq!(write(0, &most).await, Ok(()));
        assert_eq!(write(2 << 20, "x").await, Err(Reason::Invalid));
        let longer = format!("{most}x");
        assert_eq!(
            world.finish(finish(&answer, 1, Some(&longer))).await,
            Err(Reason::Invalid)
        );
        let ended = world.finish(finish(&answer, 1, None)).await.unwrap();
        assert_eq!(ended.content.len(), 2 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_run_writes_an_answer() {
    for world in World::both().await {
        let user = uuid();
        let answer = world.answer(&user).await;
        let other = world.answer(&user).await;
        for thread_id in [answer.thread_id.clone(), uuid(), "seven".into()] {
            for run_id in [other.run_id.clone(), uuid(), String::new()] {
                let mut stranger = answer.clone();
                stranger.thread_id.clone_from(&thread_id);
                stranger.run_id = run_id;
                let written = world.checkpoint(checkpoint(&stranger, 9, 0, "x")).await;
                assert_eq!(written, Err(Reason::MessageNotFound));
                let ended = world.finish(finish(&stranger, 9, None)).await;
                assert_eq!(ended, Err(Reason::MessageNotFound));
            }
        }
        let mut elsewhere = answer.clone();
        elsewhere.thread_id.clone_from(&other.thread_id);
        let written = world.checkpoint(checkpoint(&elsewhere, 9, 0, "x")).await;
        assert_eq!(written, Err(Reason::MessageNotFound));
        assert_eq!(world.stored(&answer).await, answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_learns_that_the_thread_is_gone() {
    for world in World::both().await {
        let user = uuid();
        let answer = world.answer(&user).await;
        let request = checkpoint(&answer, 1, 0, "so far");
        world.checkpoint(request.clone()).await.unwrap();
        world.delete(&user, &answer.thread_id).await.unwrap();
        assert_eq!(
            world.checkpoint(request).await,
            Err(Reason::MessageNotFound)
        );
        assert_eq!(
            world.finish(finish(&answer, 1, None)).await,
            Err(Reason::MessageNotFound)
        );
    }
}

/// Deleting takes the same locks as writing, in the same order.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_while_everybody_writes_fails_nobody() {
    for world in World::both().await {
        let user = uuid();
        for _ in 0..20 {
            let answer = world.answer(&user).await;
            let thread = answer.thread_id.as_str();
            let (mut appender, mut writer, mut ender) =
                (world.client(), world.client(), world.client());
            let (deletion, exchange, text, end) = tokio::join!(
                world.delete(&user, thread),
                appender.append_exchange(question(&user, thread, "again")),
                writer.checkpoint(checkpoint(&answer, 1, 0, "x")),
                ender.finish(finish(&answer, 1, None)),
            );
            assert_eq!(deletion, Ok(()));
            let refused = outcome(exchange).err();
            assert!(matches!(refused, None | Some(Reason::ThreadNotFound)));
            let refused = outcome(text).err();
            assert!(matches!(
                refused,
                None | Some(Reason::MessageNotFound | Reason::StaleWrite)
            ));
            let refused = outcome(end).err();
            assert!(matches!(refused, None | Some(Reason::MessageNotFound)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_checkpoints_at_once_add_their_text_once() {
    for world in World::both().await {
        let answer = world.answer(&uuid()).await;
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let mut client = world.client();
            let request = checkpoint(&answer, 1, 0, "once é");
            calls.spawn(async move { outcome(client.checkpoint(request).await).unwrap() });
        }
        calls.join_all().await;
        assert_eq!(world.stored(&answer).await.content, "once é");
    }
}
