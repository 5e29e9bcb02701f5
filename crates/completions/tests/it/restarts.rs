//! Runs whose process dies while a model answers: they are asked anew, once.

use confab_rpc::Reason;
use confab_rpc::completions::{AskRequest, Run, RunState};
use confab_rpc::sessions::User;
use confab_rpc::threads::MessageState;

use crate::agent::{Agent, answer};
use crate::asking::{Following, new_ask, reason, thread_of};
use crate::upstream::{Upstream, words_of};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA, Process};

const DOLLAR: i64 = 1_000_000;

/// Asks, waits until so many words of the first attempt are stored, and kills the process.
async fn ask_and_die(house: &House, user: &User, question: &str, words: usize) -> String {
    let dying = house.start().await;
    let request = AskRequest {
        client_msg_id: "key".to_owned(),
        ..new_ask(user, question)
    };
    let mut asked = dying.begin(request).await.unwrap();
    let text = words_of(1, words);
    asked.text_of(text.len()).await;
    let thread_id = thread_of(&asked.started);
    house.stored(user, &thread_id, &text).await;
    dying.kill();
    asked.started.run_id
}

async fn text_of(house: &House, user: &User) -> (MessageState, String) {
    let thread_id = house.threads(user).await.remove(0).id;
    let messages = house.messages(user, &thread_id).await;
    assert_eq!(messages.len(), 2);
    (messages[1].state(), messages[1].content.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_was_being_answered_is_asked_anew() {
    let upstream = Upstream::start().await;
    for (house, name) in House::both_with(&upstream.settings())
        .await
        .into_iter()
        .zip(["a", "b"])
    {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let question = format!("9 words, halt 4 {name}");
        let run_id = ask_and_die(&house, &ann, &question, 4).await;
        let (heir, other) = (house.start().await, house.start().await);
        let old = words_of(1, 4);
        let mut followers: Vec<Following> = Vec::new();
        for process in [&heir, &other] {
            let mut follower = process.follow(&ann, &run_id, "").await.unwrap();
            assert_eq!(follower.text_of(old.len()).await, old);
            followers.push(follower);
        }
        assert_eq!(heir.reap().await, 1);
        for mut follower in followers {
            while follower.restarts == 0 {
                follower.some_text().await;
            }
            let followed = follower.rest().await.unwrap();
            assert_eq!(followed.text, words_of(2, 9));
            assert_eq!(followed.finished.cost_microdollars, 30 * 3 / 2 + 9 * 2);
        }
        // Who has something from before the restart, or may have, begins again.
        let mut late = other.follow(&ann, &run_id, &old).await.unwrap();
        late.some_text().await;
        assert_eq!(late.restarts, 1);
        assert_eq!(late.rest().await.unwrap().text, words_of(2, 9));

        let again = AskRequest {
            client_msg_id: "key".to_owned(),
            ..new_ask(&ann, &question)
        };
        assert_eq!(other.ask(again).await.unwrap().text, words_of(2, 9));
        heir.stop().await;
        other.stop().await;
        let stored = text_of(&house, &ann).await;
        assert_eq!(stored, (MessageState::Complete, words_of(2, 9)));
        assert_eq!(house.charges(&ann).await, [63]);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_is_shown_the_answer_of_whoever_took_the_run_over() {
    let upstream = Upstream::start().await;
    let houses = House::both_with(&upstream.settings()).await;
    for (house, name) in houses.into_iter().zip(["a", "b"]) {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let wire = Wire::holding("Checkpoint", 1, When::Before);
        let sleeping = house.start_on(wire).await;
        let question = format!("9 words, halt 4 {name}");
        let mut asked = sleeping.begin(new_ask(&ann, &question)).await.unwrap();
        asked.text_of(words_of(1, 4).len()).await;
        sleeping.wire.held().await;
        let awake = house.start().await;
        awake.reap().await;
        awake.stop().await;
        sleeping.wire.open();
        let answered = asked.rest().await.unwrap();
        assert_eq!(answered.text, words_of(2, 9));
        sleeping.stop().await;
        assert_eq!(house.charges(&ann).await, [63]);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_asked_anew_with_all_that_was_said_beside_it() {
    let upstream = Upstream::start().await;
    for (house, name) in House::both_with(&upstream.settings())
        .await
        .into_iter()
        .zip(["a", "b"])
    {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let dying = house.start().await;
        let request = AskRequest {
            instructions: "Count in words.".to_owned(),
            parameters: "{\"temperature\": 0.5}".to_owned(),
            ..new_ask(&ann, &format!("9 words, halt 4 {name}"))
        };
        let mut asked = dying.begin(request).await.unwrap();
        asked.some_text().await;
        let first = upstream.seen().asked.pop().unwrap();
        dying.kill();
        let heir = house.start().await;
        heir.reap().await;
        heir.stop().await;
        let second = upstream.seen().asked.pop().unwrap();
        assert_eq!(first["messages"], second["messages"]);
        assert_eq!(first["messages"][0]["content"], "Count in words.");
        assert_eq!(first["temperature"], second["temperature"]);
        assert_eq!(text_of(&house, &ann).await.0, MessageState::Complete);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_death_interrupts() {
    let upstream = Upstream::start().await;
    for (house, name) in House::both_with(&upstream.settings())
        .await
        .into_iter()
        .zip(["a", "b"])
    {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let question = format!("9 words, halt 4 2 {name}");
        let run_id = ask_and_die(&house, &ann, &question, 4).await;
        let heir = house.start().await;
        heir.reap().await;
        let thread_id = house.threads(&ann).await.remove(0).id;
        house.stored(&ann, &thread_id, &words_of(2, 2)).await;
        heir.kill();
        let last = house.start().await;
        last.reap().await;
        let follower = last.follow(&ann, &run_id, "").await.unwrap();
        let (text, end) = follower.read().await;
        assert_eq!(text, words_of(2, 2));
        assert_eq!(reason(end), Reason::RunInterrupted);
        let run = last.run(&ann, &run_id).await.unwrap();
        last.stop().await;
        assert_eq!(run.state(), RunState::Interrupted);
        assert_eq!(house.charges(&ann).await, [price(&run)]);
        assert!(price(&run) > 0);
        house.check_books(&ann).await;
    }
}

/// What the shipped catalogue takes for the tokens of a run.
fn price(run: &Run) -> i64 {
    let usage = run.usage.unwrap_or_default();
    let thousandths =
        i64::from(usage.input_tokens) * 1_500 + i64::from(usage.output_tokens) * 2_000;
    (thousandths + 999) / 1_000
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_had_anew_stays_as_it_is() {
    for (house, name) in House::both().await.into_iter().zip(["a", "b"]) {
        let upstream = Upstream::start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let dying = house.start_with(Wire::free(), &upstream.settings()).await;
        let question = format!("9 words, halt 4 {name}");
        let mut asked = dying.begin(new_ask(&ann, &question)).await.unwrap();
        let text = words_of(1, 4);
        asked.text_of(text.len()).await;
        house.stored(&ann, &thread_of(&asked.started), &text).await;
        dying.kill();
        let settings = [
            ("providers.ollama.base_url", "http://127.0.0.1:9/v1"),
            ("providers.ollama.retries", "0"),
        ];
        let heir = house.start_with(Wire::free(), &settings).await;
        heir.reap().await;
        heir.stop().await;
        assert_eq!(
            text_of(&house, &ann).await,
            (MessageState::Interrupted, text)
        );
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_not_asked_anew() {
    let agent = Agent::start_with(|call| {
        Box::pin(async move {
            if call.request.chat_message == "halt" {
                std::future::pending::<()>().await;
            }
            Ok(answer("Heard."))
        })
    })
    .await;
    for house in House::both_with(&[("providers.agent.url", agent.url.as_str())]).await {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let dying = house.start().await;
        let asked = dying.begin(new_ask(&ann, "halt")).await.unwrap();
        drop(asked);
        let calls = agent.calls().len();
        dying.kill();
        let heir = house.start().await;
        heir.reap().await;
        heir.stop().await;
        assert!(agent.calls().len() <= calls + 1);
        assert_eq!(text_of(&house, &ann).await.0, MessageState::Interrupted);
        assert!(house.charges(&ann).await.is_empty());
        house.check_books(&ann).await;
    }
}

/// Kills the process of an answer at one random word after the other, sometimes also the one that asks anew.
#[expect(
    clippy::print_stdout,
    reason = "with its seed a failure can be repeated"
)]
#[tokio::test(flavor = "multi_thread")]
async fn fifty_answers_whose_process_dies_at_a_random_word_end_once_and_add_up() {
    const KILLS: usize = 25;
    const WORDS: usize = 40;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let upstream = Upstream::start().await;
    for (house, name) in House::both_with(&upstream.settings())
        .await
        .into_iter()
        .zip(["a", "b"])
    {
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let (mut bills, mut runs) = (0, Vec::new());
        let mut process = house.start().await;
        for number in 0..KILLS {
            let (first, second) = (random.usize(..WORDS), random.usize(..WORDS));
            let dies_twice = random.u8(..4) == 0;
            let halts = if dies_twice {
                format!("{first} {second}")
            } else {
                first.to_string()
            };
            let which: String = std::iter::repeat_n(name, number + 1).collect();
            let question = format!("{WORDS} words, halt {halts} {which}");
            let asked = upstream.seen().asked.len();
            let mut following = process.begin(new_ask(&ann, &question)).await.unwrap();
            following.text_of(words_of(1, first).len()).await;
            upstream.was_asked(asked + 1).await;
            process = succeed(&house, process).await;
            let run_id = following.started.run_id;
            if dies_twice {
                upstream.was_asked(asked + 2).await;
                // Perhaps before it has stored anything of it, perhaps after.
                if random.bool() && second > 0 {
                    let mut heirs = process.follow(&ann, &run_id, "").await.unwrap();
                    while !heirs.text_so_far().starts_with(&words_of(2, 1)) {
                        heirs.some_text().await;
                    }
                }
                process = succeed(&house, process).await;
            }
            let follower = process.follow(&ann, &run_id, "").await.unwrap();
            let (text, end) = follower.read().await;
            let run = process.run(&ann, &run_id).await.unwrap();
            let bill = if dies_twice {
                assert_eq!(reason(end), Reason::RunInterrupted);
                assert_eq!(run.state(), RunState::Interrupted);
                let estimate = u32::try_from(text.len().div_ceil(3)).unwrap();
                assert_eq!(run.usage.unwrap_or_default().output_tokens, estimate);
                price(&run)
            } else {
                assert_eq!(end.unwrap().1.cost_microdollars, run.cost_microdollars);
                assert_eq!(run.state(), RunState::Complete);
                assert_eq!(text, words_of(2, WORDS), "{question}");
                let (input, output) = *upstream.seen().billed.last().unwrap();
                (i64::from(input) * 1_500 + i64::from(output) * 2_000 + 999) / 1_000
            };
            assert_eq!(run.cost_microdollars, bill, "{question}");
            bills += bill;
            runs.push((run, text));
        }
        process.stop().await;
        let threads = house.threads(&ann).await;
        assert_eq!(threads.len(), KILLS);
        for (run, text) in &runs {
            let messages = house.messages(&ann, &run.thread_id).await;
            assert_eq!(messages.len(), 2);
            assert_eq!(&messages[1].content, text);
        }
        let paid = runs.iter().filter(|(run, _)| run.cost_microdollars > 0);
        let charges = house.charges(&ann).await;
        assert_eq!(charges.len(), paid.count());
        assert_eq!(charges.iter().sum::<i64>(), bills);
        assert_eq!(
            house.account(&ann).await.balance_microdollars,
            DOLLAR - bills
        );
        house.check_books(&ann).await;
    }
}

/// The process dies, and another one finds what it left.
async fn succeed(house: &House, dying: Process) -> Process {
    dying.kill();
    let heir = house.start().await;
    heir.reap().await;
    heir
}
