//! Asks that succeed, asks that are refused, and the same ask more than once.

use confab_rpc::completions::ask_request;
use confab_rpc::completions::{AskRequest, ListModelsRequest};
use confab_rpc::sessions::{GrantModelsRequest, User};
use confab_rpc::threads::MessageState;
use confab_rpc::{Fault, Reason};
use tokio::task::JoinSet;

use crate::asking::{ask_in, echo, new_ask, reason, thread_of};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA, Process};

const DOLLAR: i64 = 1_000_000;
const GPT_4: i32 = 6;

fn keyed(request: AskRequest, key: &str) -> AskRequest {
    AskRequest {
        client_msg_id: key.to_owned(),
        ..request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_stored_and_paid_for() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let first = process.ask(new_ask(&ann, "What is new?")).await.unwrap();
        assert_eq!(first.text, echo("What is new?"));
        assert!(!first.started.replayed);
        let answer = first.finished.answer.unwrap();
        assert_eq!(answer.content, first.text);
        assert_eq!(answer.state(), MessageState::Complete);
        assert_eq!(answer.model, "llama3.1:8b");
        let usage = first.finished.usage.unwrap();
        let thousandths =
            i64::from(usage.input_tokens) * 1_500 + i64::from(usage.output_tokens) * 2_000;
        assert_eq!(first.finished.cost_microdollars, (thousandths + 999) / 1000);
        let left = DOLLAR - first.finished.cost_microdollars;
        assert_eq!(first.finished.balance_microdollars, left);

        let thread_id = thread_of(&first.started);
        let second = process.ask(ask_in(&ann, &thread_id, "And\0 now?")).await;
        let second = second.unwrap();
        assert_eq!(second.text, echo("And now?"));
        assert_eq!(second.finished.answer.unwrap().seq, 4);

        process.stop().await;
        let messages = house.messages(&ann, &thread_id).await;
        let contents: Vec<_> = messages.iter().map(|message| &message.content).collect();
        let expected = ["What is new?", &first.text, "And now?", &second.text];
        assert_eq!(contents, expected);
        let charges = [
            first.finished.cost_microdollars,
            second.finished.cost_microdollars,
        ];
        assert_eq!(house.charges(&ann).await, charges);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_and_leaves_nothing() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let bob = house.user(DOLLAR, &[LLAMA, GPT_4]).await;
        let poor = house.user(0, &[LLAMA]).await;
        let ungranted = house.user(DOLLAR, &[]).await;
        let strange = User {
            id: "018f0000-0000-7000-8000-000000000001".to_owned(),
            ..User::default()
        };
        let nobody = User {
            id: "nobody".to_owned(),
            ..User::default()
        };
        let thread = house.thread(&bob).await;
        let foreign_file = house.upload(&bob, &thread).await;
        let own = house.thread(&ann).await;
        let other = house.thread(&ann).await;
        let misplaced = house.upload(&ann, &other).await;

        let model = |request: AskRequest, model| AskRequest {
            model: Some(model),
            ..request
        };
        let named = |name: &str| ask_request::Model::ModelName(name.to_owned());
        let with_file = |name: &str| AskRequest {
            attachment_names: vec![name.to_owned()],
            ..ask_in(&ann, &own.id, "Look")
        };
        let long = "x".repeat(128 * 1024 + 1);
        let cases = [
            (new_ask(&ann, ""), Reason::Invalid),
            (new_ask(&ann, "\0"), Reason::Invalid),
            (new_ask(&ann, &long), Reason::Invalid),
            (
                keyed(new_ask(&ann, "Hi"), &"k".repeat(256)),
                Reason::Invalid,
            ),
            (
                AskRequest {
                    target: None,
                    ..new_ask(&ann, "Hi")
                },
                Reason::Invalid,
            ),
            (
                model(new_ask(&strange, "Hi"), named("gpt-9")),
                Reason::ModelNotFound,
            ),
            (
                AskRequest {
                    model: None,
                    ..new_ask(&ungranted, "Hi")
                },
                Reason::ModelNotGranted,
            ),
            (
                AskRequest {
                    api_key_id: "none".to_owned(),
                    ..new_ask(&ann, "Hi")
                },
                Reason::ApiKeyNotFound,
            ),
            (new_ask(&strange, "Hi"), Reason::UserNotFound),
            (new_ask(&nobody, "Hi"), Reason::UserNotFound),
            (
                model(new_ask(&poor, "Hi"), named("gpt-4")),
                Reason::ModelNotGranted,
            ),
            (ask_in(&poor, &thread.id, "Hi"), Reason::BalanceInsufficient),
            (ask_in(&ann, &thread.id, "Hi"), Reason::ThreadNotFound),
            (ask_in(&ann, &strange.id, "Hi"), Reason::ThreadNotFound),
            (ask_in(&ann, "1", "Hi"), Reason::ThreadNotFound),
            (with_file(&foreign_file.name), Reason::AttachmentNotFound),
            (with_file(&misplaced.name), Reason::AttachmentNotFound),
            (with_file("../../etc/passwd"), Reason::AttachmentNotFound),
            (new_ask(&ann, &long[..10_000]), Reason::ContextTooLong),
        ];
        for (number, (request, expected)) in cases.into_iter().enumerate() {
            assert_eq!(reason(process.ask(request).await), expected, "{number}");
        }
        assert_eq!(house.files(&bob, &thread).await, [foreign_file.name]);
        assert_eq!(house.files(&ann, &other).await, [misplaced.name]);
        assert_eq!(process.wire.calls("Reserve"), 0);
        assert_eq!(process.wire.calls("AppendExchange"), 0);
        process.stop().await;
        assert_eq!(house.threads(&ann).await.len(), 2);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_beside_a_question_has_its_limits() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let long = "x".repeat(64 * 1024 + 1);
        let long_object = format!("{{\"user\": \"{long}\"}}");
        for parameters in ["[]", "{", "{\"model\": \"gpt-4\"}", &long_object] {
            let request = AskRequest {
                parameters: parameters.to_owned(),
                ..new_ask(&ann, "Hi")
            };
            assert_eq!(reason(process.ask(request).await), Reason::Invalid);
        }
        let request = AskRequest {
            instructions: long,
            ..new_ask(&ann, "Hi")
        };
        assert_eq!(reason(process.ask(request).await), Reason::Invalid);
        process.stop().await;
        assert!(house.threads(&ann).await.is_empty());
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_thread_is_answered_by_its_own_model() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA, GPT_4]).await;
        let thread = house.thread(&ann).await;
        let by_gpt_4 = || AskRequest {
            model: Some(ask_request::Model::ModelId(GPT_4)),
            ..ask_in(&ann, &thread.id, "Who are you?")
        };
        let answered = process.ask(by_gpt_4()).await.unwrap();
        assert_eq!(answered.finished.answer.unwrap().model, "llama3.1:8b");

        let grant = GrantModelsRequest {
            user_id: ann.id.clone(),
            models: vec![GPT_4],
        };
        let mut sessions = house.observer.sessions.clone();
        sessions.grant_models(grant).await.unwrap();
        let refused = process.ask(by_gpt_4()).await;
        assert_eq!(reason(refused), Reason::ModelNotGranted);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_ask_again_gets_the_first_answer() {
    for house in House::both().await {
        let (here, there) = (house.start().await, house.start().await);
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let ask = || keyed(new_ask(&ann, "Once"), "key");
        let first = here.ask(ask()).await.unwrap();
        // What was answered once is answered again, whatever has changed since.
        let grant = GrantModelsRequest {
            user_id: ann.id.clone(),
            models: Vec::new(),
        };
        let mut sessions = house.observer.sessions.clone();
        sessions.grant_models(grant).await.unwrap();
        for process in [&here, &there] {
            let again = process.ask(ask()).await.unwrap();
            assert!(again.started.replayed);
            assert_eq!(again.started.run_id, first.started.run_id);
            assert_eq!(again.started.question, first.started.question);
            assert_eq!(again.text, first.text);
            assert_eq!(again.finished.answer, first.finished.answer);
            assert_eq!(again.finished.usage, first.finished.usage);
            assert_eq!(
                again.finished.cost_microdollars,
                first.finished.cost_microdollars
            );
            let other = process.ask(keyed(new_ask(&ann, "Twice"), "key")).await;
            assert_eq!(reason(other), Reason::KeyReused);
        }
        here.stop().await;
        there.stop().await;
        assert_eq!(house.threads(&ann).await.len(), 1);
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_ask_while_it_is_answered_follows_the_run() {
    for house in House::both_with(&[("providers.scripted.behaviour", "slow")]).await {
        let (here, there) = (house.start().await, house.start().await);
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let ask = || keyed(new_ask(&ann, "Once"), "key");
        let mut first = here.begin(ask()).await.unwrap();
        let begun = first.some_text().await.to_owned();
        assert!(echo("Once").starts_with(&begun) && begun.len() < echo("Once").len());
        let (follows, watches) = (here.begin(ask()).await, there.begin(ask()).await);
        for follower in [follows.unwrap(), watches.unwrap()] {
            assert!(follower.started.replayed);
            assert_eq!(follower.started.run_id, first.started.run_id);
            assert_eq!(follower.rest().await.unwrap().text, echo("Once"));
        }
        here.stop().await;
        there.stop().await;
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_ask_twenty_times_at_once_is_one_run() {
    for house in House::both().await {
        let processes = [house.start().await, house.start().await];
        // Enough for the reservation of one.
        let ann = house.user(2_500, &[LLAMA]).await;
        let mut asks = JoinSet::new();
        for number in 0..20 {
            let mut client = processes[number % 2].client.clone();
            let request = AskRequest {
                open_limit: 1,
                ..keyed(new_ask(&ann, "Once"), "key")
            };
            asks.spawn(async move { client.ask(request).await.map(drop) });
        }
        while let Some(asked) = asks.join_next().await {
            asked.unwrap().unwrap();
        }
        let [here, there] = processes;
        let answered = here.ask(keyed(new_ask(&ann, "Once"), "key")).await.unwrap();
        assert_eq!(answered.text, echo("Once"));
        here.stop().await;
        there.stop().await;
        let threads = house.threads(&ann).await;
        assert_eq!(threads.len(), 1);
        assert_eq!(house.messages(&ann, &threads[0].id).await.len(), 2);
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_free_again_when_its_thread_is_removed() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let ask = || keyed(new_ask(&ann, "Once"), "key");
        let first = process.ask(ask()).await.unwrap();
        remove_thread(&house, &ann, &thread_of(&first.started)).await;
        let second = process.ask(ask()).await.unwrap();
        assert!(!second.started.replayed);
        assert_ne!(second.started.run_id, first.started.run_id);
        process.stop().await;
        house.check_books(&ann).await;
    }
}

pub(crate) async fn remove_thread(house: &House, user: &User, thread_id: &str) {
    let request = confab_rpc::threads::DeleteThreadRequest {
        user_id: user.id.clone(),
        thread_id: thread_id.to_owned(),
    };
    let mut threads = house.observer.threads.clone();
    threads.delete_thread(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_at_once_never_spend_more_than_there_is() {
    for house in House::both().await {
        let processes = [house.start().await, house.start().await];
        let ann = house.user(700, &[LLAMA]).await;
        let mut asks = JoinSet::new();
        for number in 0..40 {
            let (ask, client) = (
                new_ask(&ann, &format!("Question {number}")),
                processes[number % 2].client.clone(),
            );
            asks.spawn(to_the_end(client, ask));
        }
        let (mut answered, mut refused) = (0, 0);
        while let Some(asked) = asks.join_next().await {
            match asked.unwrap() {
                Ok(()) => answered += 1,
                Err(fault) => {
                    assert_eq!(fault.reason, Reason::BalanceInsufficient);
                    refused += 1;
                }
            }
        }
        assert!(answered > 0 && refused > 0, "{answered} {refused}");
        let [here, there] = processes;
        here.stop().await;
        there.stop().await;
        assert_eq!(house.charges(&ann).await.len(), answered);
        house.check_books(&ann).await;
    }
}

async fn to_the_end(
    mut client: confab_rpc::completions::completions_client::CompletionsClient<confab_rpc::Lane>,
    request: AskRequest,
) -> Result<(), Fault> {
    let mut events = client.ask(request).await?.into_inner();
    while events.message().await?.is_some() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_waits_for_its_turn() {
    for house in House::both().await {
        // The first answer is held back just before it is done.
        let process = house
            .start_on(Wire::holding("Finish", 1, When::Before))
            .await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let limited = |content: &str| AskRequest {
            open_limit: 1,
            ..new_ask(&ann, content)
        };
        let first = process.begin(limited("First")).await.unwrap();
        process.wire.held().await;
        let reserved = process.wire.calls("Reserve");
        let (second, ()) = tokio::join!(process.ask(limited("Second")), async {
            // It has been told to wait more than once when the first may end.
            process.wire.done("Reserve", reserved + 2).await;
            assert_eq!(process.wire.calls("AppendExchange"), 1);
            process.wire.open();
        });
        assert_eq!(second.unwrap().text, echo("Second"));
        assert_eq!(first.rest().await.unwrap().text, echo("First"));
        process.stop().await;
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ask_does_not_wait_for_ever() {
    for house in House::both_with(&[("queue_seconds", "0")]).await {
        let process = house
            .start_on(Wire::holding("Finish", 1, When::Before))
            .await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let limited = || AskRequest {
            open_limit: 1,
            ..new_ask(&ann, "Hi")
        };
        let first = process.begin(limited()).await.unwrap();
        process.wire.held().await;
        assert_eq!(reason(process.ask(limited()).await), Reason::RunLimit);
        process.wire.open();
        first.rest().await.unwrap();
        process.stop().await;
        assert_eq!(house.threads(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_without_its_caller() {
    for house in House::both_with(&[("providers.scripted.behaviour", "slow")]).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let mut following = process.begin(new_ask(&ann, "Still there?")).await.unwrap();
        following.some_text().await;
        let thread_id = thread_of(&following.started);
        drop(following);
        process.stop().await;
        let messages = house.messages(&ann, &thread_id).await;
        assert_eq!(messages[1].state(), MessageState::Complete);
        assert_eq!(messages[1].content, echo("Still there?"));
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_listed() {
    for house in House::both().await {
        let process: Process = house.start().await;
        let mut client = process.client.clone();
        let listed = client.list_models(ListModelsRequest {}).await.unwrap();
        let models = listed.into_inner().models;
        assert!(models.is_sorted_by_key(|model| model.id));
        let llama = models.iter().find(|model| model.id == LLAMA).unwrap();
        assert_eq!(llama.name, "llama3.1:8b");
        assert_eq!(llama.context_length, 4096);
        assert_eq!(llama.input_microdollars_per_1k, 1_500);
        assert_eq!(llama.output_microdollars_per_1k, 2_000);
        assert!(llama.scripted);
        process.stop().await;
    }
}
