//! Runs that somebody stops: the provider is let go, the text is kept and paid for, and that is told to everyone.

use std::time::{Duration, Instant};

use confab_rpc::Reason;
use confab_rpc::completions::{AskRequest, RunState};
use confab_rpc::threads::MessageState;

use crate::agent::Agent;
use crate::asking::{new_ask, reason, thread_of};
use crate::upstream::{Upstream, words_of};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;
/// How soon the provider must be let go: half a second is promised, and this machine may be busy.
const SOON: Duration = Duration::from_secs(2);

#[expect(clippy::print_stdout, reason = "how long it took is worth a look")]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_from_any_process() {
    for elsewhere in [false, true] {
        let upstream = Upstream::start().await;
        for (number, house) in House::both_with(&upstream.settings())
            .await
            .into_iter()
            .enumerate()
        {
            let name = ["a", "b"][number];
            let (here, there) = (house.start().await, house.start().await);
            let ann = house.user(DOLLAR, &[LLAMA]).await;
            let question = format!("9 words, halt 4 {name}");
            let mut asked = here.begin(new_ask(&ann, &question)).await.unwrap();
            let text = words_of(1, 4);
            assert_eq!(asked.text_of(text.len()).await, text);
            let run_id = asked.started.run_id.clone();
            let watcher = there.follow(&ann, &run_id, "").await.unwrap();

            let process = if elsewhere { &there } else { &here };
            let began = Instant::now();
            let run = process.cancel(&ann, &run_id).await.unwrap();
            upstream.was_left(number + 1).await;
            let let_go = upstream.seen().hung_up[number] - began;
            println!("elsewhere: {elsewhere}, the provider was let go after {let_go:?}");
            assert!(let_go < SOON, "{let_go:?}");
            assert_eq!(run.state(), RunState::Cancelled);
            assert!(run.cost_microdollars > 0);
            assert_eq!(run.usage.unwrap().output_tokens, estimate(&text));

            let thread_id = thread_of(&asked.started);
            for follower in [asked, watcher] {
                let (read, end) = follower.read().await;
                assert_eq!(read, text);
                assert_eq!(reason(end), Reason::RunCancelled);
            }
            // Again, it stays as it is.
            for process in [&here, &there] {
                assert_eq!(process.cancel(&ann, &run_id).await.unwrap(), run);
                assert_eq!(process.run(&ann, &run_id).await.unwrap(), run);
            }
            here.stop().await;
            there.stop().await;
            let messages = house.messages(&ann, &thread_id).await;
            assert_eq!(messages[1].state(), MessageState::Cancelled);
            assert_eq!(messages[1].content, text);
            assert_eq!(house.charges(&ann).await, [run.cost_microdollars]);
            house.check_books(&ann).await;
        }
    }
}

fn estimate(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(3)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_before_it_says_anything() {
    let agent = Agent::start_with(|_| Box::pin(std::future::pending())).await;
    for house in House::both_with(&[("providers.agent.url", agent.url.as_str())]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let asked = process.begin(new_ask(&ann, "Hello")).await.unwrap();
        let thread_id = thread_of(&asked.started);
        let run = process.cancel(&ann, &asked.started.run_id).await.unwrap();
        assert_eq!(run.state(), RunState::Cancelled);
        assert_eq!(reason(asked.rest().await), Reason::RunCancelled);
        process.stop().await;
        let messages = house.messages(&ann, &thread_id).await;
        assert_eq!(messages[1].state(), MessageState::Cancelled);
        assert!(house.charges(&ann).await.is_empty());
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_its_turn_is_stopped() {
    for house in House::both().await {
        let (here, there) = (
            house
                .start_on(Wire::holding("Finish", 1, When::Before))
                .await,
            house.start().await,
        );
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let limited = |content: &str| AskRequest {
            open_limit: 1,
            ..new_ask(&ann, content)
        };
        let first = here.begin(limited("First")).await.unwrap();
        here.wire.held().await;
        let reserved = here.wire.calls("Reserve");
        let (second, ()) = tokio::join!(here.ask(limited("Second")), async {
            here.wire.done("Reserve", reserved + 1).await;
            let waiting = house.last_run().await;
            let run = there.cancel(&ann, &waiting).await.unwrap();
            assert_eq!(run.state(), RunState::Cancelled);
            assert_eq!(run.answer_id, 0);
        });
        assert_eq!(reason(second), Reason::RunCancelled);
        here.wire.open();
        first.rest().await.unwrap();
        here.stop().await;
        there.stop().await;
        assert_eq!(house.threads(&ann).await.len(), 1);
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_process_is_dead_is_stopped_by_its_heir() {
    let upstream = Upstream::start().await;
    for (number, house) in House::both_with(&upstream.settings())
        .await
        .into_iter()
        .enumerate()
    {
        let name = ["a", "b"][number];
        let dying = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let question = format!("9 words, halt 4 {name}");
        let mut asked = dying.begin(new_ask(&ann, &question)).await.unwrap();
        asked.text_of(words_of(1, 4).len()).await;
        dying.wire.done("Checkpoint", 1).await;
        let run_id = asked.started.run_id.clone();
        dying.kill();
        let heir = house.start().await;
        let (run, ()) = tokio::join!(heir.cancel(&ann, &run_id), async {
            house.cancel_is_written().await;
            heir.reap().await;
        });
        assert_eq!(run.unwrap().state(), RunState::Cancelled);
        heir.stop().await;
        assert_eq!(upstream.seen().asked.len(), number + 1, "not asked anew");
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}
