//! Answers of another model than the one that was asked, and asks with an API key: who pays how much.

use confab_rpc::Reason;
use confab_rpc::completions::{AskRequest, RunState};
use confab_rpc::sessions::{ApiKey, CreateApiKeyRequest, ListApiKeysRequest, User};

use crate::asking::{new_ask, reason};
use crate::setup::ALTERNATIVE;
use crate::upstream::{Upstream, words_of};
use crate::wire::Wire;
use crate::world::{House, LLAMA};

const DOLLAR: i64 = 1_000_000;

/// Nobody listens where llama is, and the server answers for gpt-4.
fn fallback(url: &str) -> [(&str, &str); 5] {
    [
        (ALTERNATIVE, "gpt-4"),
        ("providers.ollama.base_url", "http://127.0.0.1:9/v1"),
        ("providers.ollama.retries", "0"),
        ("providers.openai.base_url", url),
        ("providers.openai.api_key", "none"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_names_the_price() {
    let upstream = Upstream::start().await;
    for house in House::both_with(&fallback(&upstream.url)).await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let asked = process.ask(new_ask(&ann, "5 words")).await.unwrap();
        let run = process.run(&ann, &asked.started.run_id).await.unwrap();
        assert_eq!(
            (run.model.as_str(), run.provider.as_str()),
            ("gpt-4", "openai")
        );
        // 30 tokens at 3 cents and 5 at 6 cents the thousand.
        assert_eq!(run.cost_microdollars, 30 * 30 + 5 * 60);
        let answer = asked.finished.answer.unwrap();
        assert_eq!(answer.model, "gpt-4");
        let receipt = answer.receipt.unwrap();
        assert_eq!(receipt.provider, "openai");
        assert_eq!(receipt.cost_microdollars, run.cost_microdollars);
        process.stop().await;
        assert_eq!(house.charges(&ann).await, [run.cost_microdollars]);
        house.check_books(&ann).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_pays_for_the_dearest_that_may_answer() {
    let upstream = Upstream::start().await;
    let houses = House::both_with(&fallback(&upstream.url)).await;
    for (house, name) in houses.into_iter().zip(["a", "b"]) {
        let dying = house.start_with(Wire::free(), &[("restarts", "0")]);
        let dying = dying.await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let question = format!("9 words, halt 4 {name}");
        let mut asked = dying.begin(new_ask(&ann, &question)).await.unwrap();
        let text = words_of(1, 4);
        asked.text_of(text.len()).await;
        // The longest answer of gpt-4 alone.
        let reserved = house.account(&ann).await.reserved_microdollars;
        assert!(reserved > 2048 * 60, "{reserved}");
        dying.wire.done("Checkpoint", 1).await;
        dying.kill();
        let heir = house.start_with(Wire::free(), &[("restarts", "0")]);
        let heir = heir.await;
        heir.reap().await;
        let run_id = &asked.started.run_id;
        let follower = heir.follow(&ann, run_id, "").await.unwrap();
        assert_eq!(reason(follower.rest().await), Reason::RunInterrupted);
        // Whoever finds the run charges the price of the model that was answering.
        let run = heir.run(&ann, run_id).await.unwrap();
        assert_eq!(run.state(), RunState::Interrupted);
        let usage = run.usage.unwrap();
        let price = i64::from(usage.input_tokens) * 30 + i64::from(usage.output_tokens) * 60;
        assert!(price > 0);
        assert_eq!(run.cost_microdollars, price);
        heir.stop().await;
        assert_eq!(house.charges(&ann).await, [price]);
        house.check_books(&ann).await;
    }
}

async fn key(house: &House, user: &User, budget: i64) -> String {
    let request = CreateApiKeyRequest {
        user_id: user.id.clone(),
        name: "A program".to_owned(),
        budget_microdollars: Some(budget),
        ..CreateApiKeyRequest::default()
    };
    let created = house
        .observer
        .sessions
        .clone()
        .create_api_key(request)
        .await;
    created.unwrap().into_inner().key.unwrap().id
}

async fn keys(house: &House, user: &User) -> Vec<ApiKey> {
    let request = ListApiKeysRequest {
        user_id: user.id.clone(),
    };
    let listed = house.observer.sessions.clone().list_api_keys(request).await;
    listed.unwrap().into_inner().keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_budget_pays_as_well() {
    for house in House::both().await {
        let process = house.start().await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        let (rich, poor) = (key(&house, &ann, DOLLAR).await, key(&house, &ann, 1).await);
        let with = |key: &str| AskRequest {
            api_key_id: key.to_owned(),
            ..new_ask(&ann, "Hello")
        };
        assert_eq!(
            reason(process.ask(with(&poor)).await),
            Reason::BudgetExceeded
        );
        let unknown = "018f0000-0000-7000-8000-000000000001";
        assert_eq!(
            reason(process.ask(with(unknown)).await),
            Reason::ApiKeyNotFound
        );
        let answered = process.ask(with(&rich)).await.unwrap();
        process.stop().await;
        for listed in keys(&house, &ann).await {
            let spent = if listed.id == rich {
                answered.finished.cost_microdollars
            } else {
                0
            };
            assert_eq!(listed.spent_microdollars, spent);
        }
        assert_eq!(house.charges(&ann).await.len(), 1);
        house.check_books(&ann).await;
    }
}
