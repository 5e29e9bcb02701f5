//! Runs that are followed from a place in their answer, on the process that works on them and on another one.

use confab_rpc::Reason;
use confab_rpc::completions::RunState;
use confab_rpc::threads::MessageState;

use crate::asking::thread_of;
use crate::asking::{echo, new_ask, reason};
use crate::asks::remove_thread;
use crate::upstream::{Upstream, words_of};
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_is_followed_from_any_place_on_any_process() {
    for house in House::both_with(&[("providers.scripted.behaviour", "slow")]).await {
        let (here, there) = (house.start().await, house.start().await);
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let question = "Once – and 日本 again, please";
        let mut asked = here.begin(new_ask(&ann, question)).await.unwrap();
        let begun = asked.text_of(10).await;
        let run_id = asked.started.run_id.clone();
        for process in [&here, &there] {
            let run = process.run(&ann, &run_id).await.unwrap();
            assert_eq!(run.state(), RunState::Running);
            assert_eq!(run.ended_at, None);
            let answer = asked.started.answer.as_ref().unwrap();
            assert_eq!(run.answer_id, answer.id);
            for text in ["", &begun] {
                let follower = process.follow(&ann, &run_id, text).await.unwrap();
                assert_eq!(follower.started.run_id, run_id);
                assert_eq!(follower.started.thread, asked.started.thread);
                assert_eq!(follower.started.question, asked.started.question);
                let mut follower = follower;
                // It comes as it is written, not when it is done.
                let more = follower.text_of(text.len() + 1).await;
                assert!(more.len() < echo(question).len(), "{more}");
                assert!(echo(question).starts_with(&more));
                drop(follower);
            }
        }
        let (follows, watches) = (
            here.follow(&ann, &run_id, &begun).await.unwrap(),
            there.follow(&ann, &run_id, &begun).await.unwrap(),
        );
        let asked = asked.rest().await.unwrap();
        for follower in [follows, watches] {
            let followed = follower.rest().await.unwrap();
            assert_eq!(followed.text, echo(question));
            assert_eq!(followed.finished.answer, asked.finished.answer);
            assert_eq!(followed.finished.usage, asked.finished.usage);
            assert_eq!(
                followed.finished.cost_microdollars,
                asked.finished.cost_microdollars
            );
        }
        here.stop().await;
        there.stop().await;
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_over_is_told_from_any_place() {
    for house in House::both().await {
        let (here, there) = (house.start().await, house.start().await);
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let asked = here.ask(new_ask(&ann, "What is 日本?")).await.unwrap();
        let run_id = &asked.started.run_id;
        let inside = asked.text.find('日').unwrap() + 1;
        for process in [&here, &there] {
            for (from, _) in asked.text.char_indices() {
                let text = &asked.text[..from];
                let follower = process.follow(&ann, run_id, text).await.unwrap();
                let told = follower.rest().await.unwrap();
                assert_eq!(told.text, asked.text);
                assert_eq!(told.finished, asked.finished);
            }
            let text = asked.text.as_str();
            let end = process.follow(&ann, run_id, text).await.unwrap();
            assert_eq!(end.rest().await.unwrap().finished, asked.finished);

            let beyond = "x".repeat(asked.text.len() + 1);
            for offset in [&beyond[..inside], &beyond] {
                let refused = process.follow(&ann, run_id, offset).await.map(drop);
                assert_eq!(reason(refused), Reason::Invalid);
            }
        }
        here.stop().await;
        there.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_their_users_own() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let bob = house.user(DOLLAR, &[LLAMA]).await;
        let asked = process.ask(new_ask(&ann, "Mine")).await.unwrap();
        let run_id = asked.started.run_id.as_str();
        let unknown = "018f0000-0000-7000-8000-000000000001";
        for (user, run_id) in [(&bob, run_id), (&ann, unknown), (&ann, "run")] {
            let followed = process.follow(user, run_id, "").await.map(drop);
            assert_eq!(reason(followed), Reason::RunNotFound);
            assert_eq!(reason(process.run(user, run_id).await), Reason::RunNotFound);
            let cancelled = process.cancel(user, run_id).await;
            assert_eq!(reason(cancelled), Reason::RunNotFound);
        }
        remove_thread(&house, &ann, &thread_of(&asked.started)).await;
        let followed = process.follow(&ann, run_id, "").await.map(drop);
        assert_eq!(reason(followed), Reason::RunNotFound);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_took() {
    let upstream = Upstream::start().await;
    for house in House::both_with(&upstream.settings()).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let asked = process.ask(new_ask(&ann, "5 words")).await.unwrap();
        assert!([words_of(1, 5), words_of(2, 5)].contains(&asked.text));
        let run = process.run(&ann, &asked.started.run_id).await.unwrap();
        assert_eq!(asked.finished.run.as_ref(), Some(&run));
        assert_eq!(run.state(), RunState::Complete);
        assert_eq!(run.provider, "ollama");
        assert_eq!(run.model, "llama3.1:8b");
        assert_eq!(run.finish_reason, "stop");
        assert!(run.first_token_ms > 0);
        assert!(run.ended_at.is_some());
        let usage = run.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (30, 5));
        // 30 × 1.5 + 5 × 2 thousandths of a cent's tenth.
        assert_eq!(run.cost_microdollars, 55);

        let answer = asked.finished.answer.unwrap();
        assert_eq!(answer.state(), MessageState::Complete);
        let receipt = answer.receipt.unwrap();
        assert_eq!(receipt.provider, run.provider);
        assert_eq!(receipt.finish_reason, run.finish_reason);
        assert_eq!(receipt.cost_microdollars, run.cost_microdollars);
        assert_eq!((receipt.input_tokens, receipt.output_tokens), (30, 5));
        assert_eq!(receipt.first_token_ms, run.first_token_ms);
        process.stop().await;
        house.check_books(&ann).await;
    }
}
