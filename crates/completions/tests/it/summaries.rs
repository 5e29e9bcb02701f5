//! The running summary of what has left the window.

use confab_rpc::completions::AskRequest;
use confab_rpc::sessions::User;
use confab_rpc::threads::Thread;

use crate::agent::Agent;
use crate::asking::{ask_in, echo, new_ask, thread_of};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA, Process};

const DOLLAR: i64 = 1_000_000;
const SUMMARISES: [(&str, &str); 2] = [("summarise", "true"), ("history_entries", "2")];

/// Asks in one thread; returns its id.
async fn ask_all(process: &Process, user: &User, questions: &[&str]) -> String {
    let mut thread_id = String::new();
    for question in questions {
        let request = if thread_id.is_empty() {
            new_ask(user, question)
        } else {
            ask_in(user, &thread_id, question)
        };
        thread_id = thread_of(&process.ask(request).await.unwrap().started);
    }
    thread_id
}

async fn only_thread(house: &House, user: &User) -> Thread {
    let thread_id = house.threads(user).await.remove(0).id;
    house.one_thread(user, &thread_id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_window_is_folded_and_paid_for() {
    for house in House::both_with(&SUMMARISES).await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let process = house.start().await;
        let thread_id = ask_all(&process, &ann, &["one"]).await;
        process.stop().await;
        assert_eq!(only_thread(&house, &ann).await.summary, "");

        let process = house.start().await;
        process.ask(ask_in(&ann, &thread_id, "two")).await.unwrap();
        process.stop().await;
        let thread = only_thread(&house, &ann).await;
        let folded = format!("Messages:\nUser: one\nAssistant: {}", echo("one"));
        assert_eq!(thread.summary, echo(&folded));
        assert_eq!(thread.summary_seq, 2);

        let process = house.start().await;
        process
            .ask(ask_in(&ann, &thread_id, "three"))
            .await
            .unwrap();
        process.stop().await;
        let before = thread.summary;
        let thread = only_thread(&house, &ann).await;
        let so_far = echo(&format!(
            "Summary so far:\n{before}\n\nMessages:\nUser: two"
        ));
        assert!(thread.summary.starts_with(&so_far), "{}", thread.summary);
        assert_eq!(thread.summary_seq, 4);

        let charges = house.charges(&ann).await;
        assert_eq!(charges.len(), 5, "three answers and two summaries");
        assert!(charges.iter().all(|charge| *charge > 0));
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_summary_stays_when_there_is_no_new_one() {
    let agent = Agent::start().await;
    // Agents do not summarise, and nothing answers at the address of what does.
    let settings = [
        ("providers.agent.url", agent.url.as_str()),
        ("providers.ollama.base_url", "http://127.0.0.1:9/v1"),
        ("providers.ollama.retries", "0"),
    ];
    for house in House::both_with(&[&SUMMARISES[..], &settings].concat()).await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let process = house.start().await;
        let thread_id = ask_all(&process, &ann, &["one"]).await;
        house
            .set_summary(&ann, &thread_id, "What was before.")
            .await;
        for question in ["two", "three"] {
            process
                .ask(ask_in(&ann, &thread_id, question))
                .await
                .unwrap();
            assert_eq!(agent.asked().chat_summary, "What was before.");
        }
        process.stop().await;
        let thread = only_thread(&house, &ann).await;
        assert_eq!(thread.summary, "What was before.");
        assert_eq!(thread.summary_seq, 0);
        assert_eq!(house.charges(&ann).await, [1_000, 1_000, 1_000]);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_cannot_be_paid_for_is_not_written() {
    let agent = Agent::start().await;
    let settings = [
        ("providers.agent.url", agent.url.as_str()),
        ("providers.ollama.kind", "scripted"),
    ];
    for house in House::both_with(&[&SUMMARISES[..], &settings].concat()).await {
        // Two answers leave nothing.
        let ann = house.user(2_000, &[LLAMA]).await;
        let process = house.start().await;
        ask_all(&process, &ann, &["one", "two"]).await;
        process.stop().await;
        assert_eq!(only_thread(&house, &ann).await.summary, "");
        assert_eq!(house.charges(&ann).await, [1_000, 1_000]);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_under_way_does_not_keep_the_user_waiting() {
    for house in House::both_with(&SUMMARISES).await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let wire = Wire::holding("ReplaceSummary", 1, When::Before);
        let process = house.start_on(wire).await;
        let thread_id = ask_all(&process, &ann, &["one", "two"]).await;
        process.wire.held().await;
        let limited = AskRequest {
            open_limit: 1,
            ..ask_in(&ann, &thread_id, "three")
        };
        process.ask(limited).await.unwrap();
        process.wire.open();
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_whose_process_dies_is_settled() {
    // What was written is paid for, what was not is free.
    let steps = [
        ("Reserve", When::After, 2),
        ("ReplaceSummary", When::Before, 3),
        ("ReplaceSummary", When::After, 3),
        ("Settle", When::Before, 3),
        ("Settle", When::After, 3),
    ];
    for house in House::both_with(&SUMMARISES).await {
        for (method, when, charges) in steps {
            let ann = house.user(DOLLAR, &[LLAMA]).await;
            // Each answer reserves and settles once; the third time it is the summary.
            let nth = if method == "ReplaceSummary" { 1 } else { 3 };
            let dying = house.start_on(Wire::holding(method, nth, when)).await;
            ask_all(&dying, &ann, &["one", "two"]).await;
            dying.wire.held().await;
            dying.kill();
            let heir = house.start().await;
            heir.reap().await;
            heir.stop().await;
            let charged = house.charges(&ann).await.len();
            assert_eq!(charged, charges, "killed {when:?} {method}");
            house.check_books(&ann).await;
        }
    }
}
