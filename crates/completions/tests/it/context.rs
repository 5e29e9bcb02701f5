//! What a model sees of a thread.

use confab_rpc::Reason;
use confab_rpc::completions::{AskRequest, NewThread, ask_request};
use confab_rpc::threads::DeleteMessageRequest;

use crate::agent::Agent;
use crate::asking::{ask_in, new_ask, reason, thread_of};
use crate::upstream::{Upstream, words_of};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;

fn history(turns: &[(&str, &str)]) -> serde_json::Value {
    let turn =
        |(role, content): &(&str, &str)| serde_json::json!({"role": role, "content": content});
    turns.iter().map(turn).collect()
}

fn history_of(request: &confab_rpc::agent::Request) -> serde_json::Value {
    serde_json::from_str(&request.chat_history).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_sees_the_last_entries() {
    let agent = Agent::start().await;
    let settings = [
        ("providers.agent.url", agent.url.as_str()),
        ("history_entries", "4"),
    ];
    for house in House::both_with(&settings).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let target = ask_request::Target::NewThread(NewThread {
            title: "New".to_owned(),
            instructions: "Be brief.".to_owned(),
        });
        let first = AskRequest {
            target: Some(target),
            ..new_ask(&ann, "one")
        };
        let thread_id = thread_of(&process.ask(first).await.unwrap().started);
        assert_eq!(agent.asked().session_prompt, "Be brief.");
        assert_eq!(agent.asked().chat_history, "null");
        for message in ["two", "three", "four"] {
            process
                .ask(ask_in(&ann, &thread_id, message))
                .await
                .unwrap();
        }
        let asked = agent.asked();
        assert_eq!(asked.chat_message, "four");
        assert_eq!(asked.session_prompt, "Be brief.");
        let expected = [
            ("user", "two"),
            ("assistant", "Heard: two"),
            ("user", "three"),
            ("assistant", "Heard: three"),
        ];
        assert_eq!(history_of(&asked), history(&expected));

        // What failed is not part of the conversation.
        let failed = process.ask(ask_in(&ann, &thread_id, "fail")).await;
        assert_eq!(reason(failed), Reason::ProviderFailed);
        process.ask(ask_in(&ann, &thread_id, "five")).await.unwrap();
        let expected = [
            ("user", "three"),
            ("assistant", "Heard: three"),
            ("user", "four"),
            ("assistant", "Heard: four"),
        ];
        assert_eq!(history_of(&agent.asked()), history(&expected));
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waited_is_asked_after_the_answer_it_waited_for() {
    let agent = Agent::start().await;
    for house in House::both_with(&[("providers.agent.url", agent.url.as_str())]).await {
        let wire = Wire::holding("Finish", 1, When::Before);
        let process = house.start_on(wire).await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let thread = house.thread(&ann).await;
        let limited = |content: &str| AskRequest {
            open_limit: 1,
            ..ask_in(&ann, &thread.id, content)
        };
        let first = process.begin(limited("one")).await.unwrap();
        process.wire.held().await;
        let (second, ()) = tokio::join!(process.ask(limited("two")), async {
            process.wire.done("Reserve", 2).await;
            process.wire.open();
        });
        second.unwrap();
        first.rest().await.unwrap();
        let expected = [("user", "one"), ("assistant", "Heard: one")];
        assert_eq!(history_of(&agent.asked()), history(&expected));
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_goes_on_is_not_read_anew() {
    let agent = Agent::start().await;
    for house in House::both_with(&[("providers.agent.url", agent.url.as_str())]).await {
        let (here, there) = (house.start().await, house.start().await);
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let first = here.ask(new_ask(&ann, "one")).await.unwrap();
        let thread_id = thread_of(&first.started);
        for message in ["two", "three"] {
            here.ask(ask_in(&ann, &thread_id, message)).await.unwrap();
        }
        assert_eq!(here.wire.calls("ListMessages"), 0);

        // What another process, or somebody who deletes, did meanwhile is seen all the same.
        there.ask(ask_in(&ann, &thread_id, "four")).await.unwrap();
        let question = first.started.question.unwrap();
        let delete = DeleteMessageRequest {
            user_id: ann.id.clone(),
            message_id: question.id,
        };
        let mut threads = house.observer.threads.clone();
        threads.delete_message(delete.clone()).await.unwrap();
        here.ask(ask_in(&ann, &thread_id, "five")).await.unwrap();
        let expected = [
            ("assistant", "Heard: one"),
            ("user", "two"),
            ("assistant", "Heard: two"),
            ("user", "three"),
            ("assistant", "Heard: three"),
            ("user", "four"),
            ("assistant", "Heard: four"),
        ];
        assert_eq!(history_of(&agent.asked()), history(&expected));
        let answer = first.finished.answer.unwrap();
        let delete = DeleteMessageRequest {
            message_id: answer.id,
            ..delete
        };
        threads.delete_message(delete).await.unwrap();
        here.ask(ask_in(&ann, &thread_id, "six")).await.unwrap();
        let five = [("user", "five"), ("assistant", "Heard: five")];
        let expected = [&expected[1..], &five].concat();
        assert_eq!(history_of(&agent.asked()), history(&expected));
        here.stop().await;
        there.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_stored_in_pieces_is_kept_whole() {
    let upstream = Upstream::start().await;
    let settings = upstream.settings();
    for (house, name) in House::both_with(&settings)
        .await
        .into_iter()
        .zip(["a", "b"])
    {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let question = format!("9 words, halt 4 {name}");
        let asked = process.begin(new_ask(&ann, &question)).await.unwrap();
        process.wire.done("Checkpoint", 1).await;
        let run_id = &asked.started.run_id;
        process.cancel(&ann, run_id).await.unwrap();
        let thread_id = thread_of(&asked.started);
        assert_eq!(reason(asked.rest().await), Reason::RunCancelled);

        process.ask(ask_in(&ann, &thread_id, "And?")).await.unwrap();
        let said = [
            ("user", question),
            ("assistant", words_of(1, 4)),
            ("user", "And?".to_owned()),
        ];
        let said = said.map(|(role, text)| (role.to_owned(), text));
        assert_eq!(upstream.messages(), said);
        assert_eq!(process.wire.calls("ListMessages"), 0);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_sees_no_more_than_it_can_read() {
    let agent = Agent::start().await;
    for house in House::both_with(&[("providers.agent.url", agent.url.as_str())]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        // Question and answer are about 800 tokens each; 3,072 are left beside the longest answer.
        let long = "x".repeat(2_400);
        let first = process.ask(new_ask(&ann, &long)).await.unwrap();
        let thread_id = thread_of(&first.started);
        process.ask(ask_in(&ann, &thread_id, &long)).await.unwrap();
        process.ask(ask_in(&ann, &thread_id, "And?")).await.unwrap();
        let heard = format!("Heard: {long}");
        let expected = [
            ("assistant", heard.as_str()),
            ("user", &long),
            ("assistant", &heard),
        ];
        assert_eq!(history_of(&agent.asked()), history(&expected));

        let too_long = "x".repeat(9_300);
        let calls = agent.calls().len();
        let refused = process.ask(ask_in(&ann, &thread_id, &too_long)).await;
        assert_eq!(reason(refused), Reason::ContextTooLong);
        assert_eq!(agent.calls().len(), calls);
        process.stop().await;
        assert_eq!(house.messages(&ann, &thread_id).await.len(), 6);
        house.check_books(&ann).await;
    }
}
