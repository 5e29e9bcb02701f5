//! The scripted model, the registry, and what a prompt measures.

use chrono::DateTime;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::scripted::Scripted;
use super::{Answer, Bill, End, Piece, Prompt, Provider, ProviderError, Registry, Role, Turn};
use crate::catalogue::{Catalogue, MESSAGE_TOKENS, PROMPT_TOKENS, estimate_tokens};
use crate::settings::{self, Behaviour};

const ECHO: &str = "This is Confab's scripted model, not a real one. You said: ";

/// A question to the first model of the catalogue.
pub(crate) fn prompt(question: &str) -> Prompt {
    let settings = settings::tests::read(&[]).unwrap();
    let model = Catalogue::new(&settings).by_id(0).unwrap().clone();
    Prompt {
        max_output_tokens: model.max_output_tokens,
        model,
        user_id: Uuid::from_u128(1),
        thread_id: Uuid::from_u128(2),
        instructions: String::new(),
        summary: String::new(),
        history: Vec::new(),
        left_out: 0,
        question: question.to_owned(),
        asked_at: DateTime::from_timestamp(1_700_000_000, 5_000).unwrap(),
        files: Vec::new(),
        budget_microdollars: 1_500_000,
        ask_back: None,
        parameters: serde_json::Map::new(),
    }
}

/// The text up to the end or the error, and that.
pub(super) async fn read(mut answer: Answer) -> (String, Result<Bill, ProviderError>) {
    let mut text = String::new();
    while let Some(piece) = answer.next().await {
        match piece {
            Ok(Piece::Text(more)) => {
                assert!(!more.is_empty(), "a piece of text is never empty");
                text.push_str(&more);
            }
            Ok(Piece::End(End { bill, .. })) => {
                assert!(answer.next().await.is_none(), "nothing follows the end");
                return (text, Ok(bill));
            }
            Err(error) => {
                assert!(answer.next().await.is_none(), "nothing follows an error");
                return (text, Err(error));
            }
        }
    }
    panic!("the answer ended without an end");
}

#[tokio::test]
async fn the_script_says_what_it_is_and_repeats_the_question() {
    let mut prompt = prompt("Is this\nreal, 日本?");
    let (text, end) = read(Scripted(Behaviour::Echo).ask(&prompt, 0).await.unwrap()).await;
    assert_eq!(text, format!("{ECHO}Is this\nreal, 日本?"));
    let bill = Bill::Tokens {
        input: prompt.estimated_tokens(),
        output: estimate_tokens(&text),
    };
    assert_eq!(end, Ok(bill));

    prompt.files = vec!["a".to_owned(), "b".to_owned()];
    prompt.history = vec![Turn {
        role: Role::User,
        content: "earlier".to_owned(),
    }];
    let (text, _) = read(Scripted(Behaviour::Echo).ask(&prompt, 0).await.unwrap()).await;
    assert_eq!(text, format!("{ECHO}Is this\nreal, 日本? (with 2 file(s))"));
}

#[tokio::test]
async fn the_script_keeps_to_the_limit_that_was_paid_for() {
    let mut prompt = prompt("one two three");
    prompt.max_output_tokens = 4;
    let (text, end) = read(Scripted(Behaviour::Echo).ask(&prompt, 0).await.unwrap()).await;
    assert_eq!(text, "This is ");
    assert!(matches!(end, Ok(Bill::Tokens { output: 3, .. })), "{end:?}");
}

#[tokio::test]
async fn the_script_fails_and_lies_on_demand() {
    let failed = read(
        Scripted(Behaviour::Fail)
            .ask(&prompt("x"), 0)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(failed.0, "This is Confab's ");
    assert!(matches!(failed.1, Err(ProviderError::Failed(_))));

    let lied = Scripted(Behaviour::WrongUsage).ask(&prompt("x"), 0).await;
    let claimed = Bill::Tokens {
        input: 1_000_000,
        output: 1_000_000,
    };
    assert_eq!(read(lied.unwrap()).await, (format!("{ECHO}x"), Ok(claimed)));
}

#[tokio::test(start_paused = true)]
async fn the_slow_script_takes_its_time_between_words() {
    let began = Instant::now();
    let mut answer = Scripted(Behaviour::Slow)
        .ask(&prompt("x"), 0)
        .await
        .unwrap();
    assert_eq!(
        answer.try_next().await,
        Ok(Some(Piece::Text("This ".to_owned())))
    );
    assert_eq!(began.elapsed(), Duration::ZERO);
    answer.try_next().await.unwrap();
    assert_eq!(began.elapsed().as_millis() / 100, 1);
}

#[tokio::test]
async fn the_registry_finds_what_answers() {
    let settings = settings::tests::read(&[("unconfigured", "nothing")]).unwrap();
    let registry = Registry::new(&settings).unwrap();
    let mut model = Catalogue::new(&settings).by_id(0).unwrap().clone();
    let prompt = || Prompt {
        model: model.clone(),
        ..prompt("x")
    };
    for routed in [
        registry.route(prompt()).await,
        registry.route_directly(prompt()).await,
    ] {
        assert_eq!(routed.err(), Some(ProviderError::Unconfigured));
    }
    model.direct_provider = settings::SCRIPTED.to_owned();
    let prompt = Prompt {
        model,
        ..super::tests::prompt("x")
    };
    let routed = registry.route_directly(prompt).await.unwrap();
    assert_eq!(routed.provider, settings::SCRIPTED);
    assert_eq!(read(routed.answer).await.0, format!("{ECHO}x"));
}

#[tokio::test]
async fn the_registry_shows_no_secret_and_names_what_cannot_be_built() {
    let read = |key: &str| {
        settings::tests::read(&[
            ("providers.openai.api_key", key),
            ("providers.agent.url", "http://agent:50051"),
        ])
        .unwrap()
    };
    let registry = Registry::new(&read("canary")).unwrap();
    assert!(!format!("{registry:?}").contains("canary"));
    let error = Registry::new(&read("canary\n")).unwrap_err();
    assert!(error.to_string().contains("openai"), "{error}");
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn a_prompt_measures_everything_that_is_sent() {
    let mut prompt = prompt("123");
    let empty = PROMPT_TOKENS + 3 * MESSAGE_TOKENS;
    assert_eq!(prompt.estimated_tokens(), empty + 1);
    assert_eq!(prompt.most_tokens(), empty + 3);
    prompt.instructions = "1234".to_owned();
    prompt.summary = "1".to_owned();
    prompt.files = vec!["12".to_owned()];
    prompt.history = vec![Turn {
        role: Role::Assistant,
        content: "12345".to_owned(),
    }];
    assert_eq!(
        prompt.most_tokens(),
        empty + 2 * MESSAGE_TOKENS + 3 + 4 + 1 + 2 + 5
    );
}
