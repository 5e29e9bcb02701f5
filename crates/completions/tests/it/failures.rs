//! Asks that fail on the way: what is kept, what is removed, what is charged.

use confab_rpc::Reason;
use confab_rpc::completions::{AskRequest, ask_request};
use confab_rpc::threads::MessageState;

use crate::asking::{ask_in, echo, new_ask, reason, thread_of};
use crate::asks::remove_thread;
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;
/// The scripted model breaks off after three words.
const FAILS: (&str, &str) = ("providers.scripted.behaviour", "fail");
/// Nothing answers for any model.
const NOBODY: (&str, &str) = ("unconfigured", "nothing");

fn keyed(request: AskRequest) -> AskRequest {
    AskRequest {
        client_msg_id: "key".to_owned(),
        ..request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_before_a_failure_is_kept_and_paid_for() {
    for house in House::both_with(&[FAILS]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let begun = process.begin(keyed(new_ask(&ann, "Hello"))).await.unwrap();
        let thread_id = thread_of(&begun.started);
        let (text, end) = begun.read().await;
        assert_eq!(text, "This is Confab's ");
        assert_eq!(reason(end), Reason::ProviderFailed);

        let again = process.begin(keyed(new_ask(&ann, "Hello"))).await.unwrap();
        assert!(again.started.replayed);
        let (again, end) = again.read().await;
        assert_eq!(again, text);
        assert_eq!(reason(end), Reason::ProviderFailed);

        process.stop().await;
        let messages = house.messages(&ann, &thread_id).await;
        assert_eq!(messages[1].state(), MessageState::Interrupted);
        assert_eq!(messages[1].content, text);
        let charges = house.charges(&ann).await;
        assert!(charges.len() == 1 && charges[0] > 0, "{charges:?}");
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_any_text_is_free_and_leaves_no_new_thread() {
    for house in House::both_with(&[NOBODY]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        for _ in 0..2 {
            // The key went with the thread: the second ask is a new one.
            let asked = process.begin(keyed(new_ask(&ann, "Hello"))).await.unwrap();
            assert!(!asked.started.replayed);
            assert_eq!(reason(asked.rest().await), Reason::ProviderFailed);
            assert!(house.threads(&ann).await.is_empty());
        }
        process.stop().await;
        assert!(house.charges(&ann).await.is_empty());
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_in_a_thread_stays_there() {
    for house in House::both_with(&[NOBODY]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        for replayed in [false, true] {
            let asked = process.begin(keyed(ask_in(&ann, &thread.id, "Hello")));
            let asked = asked.await.unwrap();
            assert_eq!(asked.started.replayed, replayed);
            assert_eq!(reason(asked.rest().await), Reason::ProviderFailed);
        }
        process.stop().await;
        let messages = house.messages(&ann, &thread.id).await;
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1].state(), MessageState::Failed);
        assert!(house.charges(&ann).await.is_empty());
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_failed_ask_are_removed_unless_another_message_carries_them() {
    for house in House::both().await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let (kept, dropped) = (
            house.upload(&ann, &thread).await.name,
            house.upload(&ann, &thread).await.name,
        );
        let carrying = |names: &[&String]| AskRequest {
            attachment_names: names.iter().map(|name| (*name).clone()).collect(),
            ..ask_in(&ann, &thread.id, "Look")
        };
        let works = house.start().await;
        let answered = works.ask(carrying(&[&kept])).await.unwrap();
        assert_eq!(answered.text, echo("Look (with 1 file(s))"));
        let fails = house.start_with(Wire::free(), &[FAILS]).await;
        let failed = fails.ask(carrying(&[&kept, &dropped])).await;
        assert_eq!(reason(failed), Reason::ProviderFailed);
        assert_eq!(house.files(&ann, &thread).await, [kept.as_str()]);

        // It is the same when nothing was stored.
        let dropped = house.upload(&ann, &thread).await.name;
        let refused = AskRequest {
            model: Some(ask_request::Model::ModelName("gpt-9".to_owned())),
            ..carrying(&[&dropped, &kept])
        };
        assert_eq!(reason(works.ask(refused).await), Reason::ModelNotFound);
        assert_eq!(house.files(&ann, &thread).await, [kept.as_str()]);
        works.stop().await;
        fails.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_is_cut_and_measured() {
    for house in House::both_with(&[("answer_bytes", "30")]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let answered = process.ask(new_ask(&ann, "Hello")).await.unwrap();
        assert_eq!(answered.text, echo("Hello")[..30]);
        assert_eq!(answered.finished.usage.unwrap().output_tokens, 10);
        let answer = answered.finished.answer.unwrap();
        assert_eq!(answer.content, answered.text);
        assert_eq!(answer.state(), MessageState::Complete);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_pays_for_more_than_there_was() {
    for house in House::both_with(&[("providers.scripted.behaviour", "wrong-usage")]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let answered = process.ask(new_ask(&ann, "Hello")).await.unwrap();
        let usage = answered.finished.usage.unwrap();
        assert_eq!(usage.output_tokens, 1024);
        assert!(usage.input_tokens < 200, "{}", usage.input_tokens);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_thread_ends_its_run() {
    for house in House::both_with(&[("providers.scripted.behaviour", "slow")]).await {
        let wire = Wire::holding("Checkpoint", 1, When::After);
        let process = house.start_on(wire).await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let mut asked = process.begin(new_ask(&ann, "Hello")).await.unwrap();
        asked.some_text().await;
        process.wire.held().await;
        remove_thread(&house, &ann, &thread_of(&asked.started)).await;
        process.wire.open();
        assert_eq!(reason(asked.rest().await), Reason::ThreadNotFound);
        process.stop().await;
        // What was said until then was said.
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}
