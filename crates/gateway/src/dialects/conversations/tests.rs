//! The language itself: what is read, what is written, byte for byte, and when. What the services make of it is tested
//! with them.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use confab_rpc::completions::{Finished, Run, RunState, Usage};
use confab_rpc::threads::{AuthorKind, Message, MessageState, Thread};
use confab_rpc::{Fault, Reason, search, sessions};
use futures_util::{Stream, StreamExt, stream};
use proptest::prelude::*;
use prost_types::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answer::Piece;
use super::fault::{self, Problem};
use super::paced::{Differs, Text, paced};
use super::{listing, runs, visit, wire};

/// 2025-03-14 10:36:22.680911 UTC.
const AT: Option<Timestamp> = Some(Timestamp {
    seconds: 1_741_948_582,
    nanos: 680_911_000,
});

fn thread() -> Thread {
    Thread {
        number: 12,
        title: "Sea".to_owned(),
        created_at: AT,
        ..Thread::default()
    }
}

fn message() -> Message {
    Message {
        id: 31,
        seq: 3,
        author_kind: AuthorKind::Person.into(),
        state: MessageState::Complete.into(),
        content: "Bonjour ☀".to_owned(),
        created_at: AT,
        ..Message::default()
    }
}

fn run() -> Run {
    Run {
        id: "0192f0a1-0000-7000-8000-000000000001".to_owned(),
        answer_id: 32,
        state: RunState::Complete.into(),
        model: "gpt-4-turbo".to_owned(),
        provider: "openai".to_owned(),
        usage: Some(Usage {
            input_tokens: 20,
            output_tokens: 50,
        }),
        cost_microdollars: 1700,
        finish_reason: "stop".to_owned(),
        started_at: AT,
        ended_at: AT,
        ..Run::default()
    }
}

#[test]
fn bodies_are_what_front_ends_read() {
    let user = sessions::User {
        number: 7,
        username: "ann".to_owned(),
        ..sessions::User::default()
    };
    let hit = search::Hit {
        message: Some(message()),
        thread: Some(thread()),
        similarity: 0.5,
    };
    for (written, golden) in [
        (
            fault::json(&wire::User::from(user)),
            include_str!("golden/user.json"),
        ),
        (
            fault::json(&wire::Conversation::new(thread(), 7)),
            include_str!("golden/conversation.json"),
        ),
        (
            fault::json(&wire::Message::new(message(), 12)),
            include_str!("golden/message.json"),
        ),
        (
            fault::json(&wire::Completed::new(32, "Salut".to_owned())),
            include_str!("golden/completed.json"),
        ),
        (
            fault::json(&wire::Chunk::new(32, "Sal".to_owned())),
            include_str!("golden/chunk.json"),
        ),
        (
            fault::json(&wire::Run::new(run(), 12)),
            include_str!("golden/run.json"),
        ),
        (
            fault::json(&wire::Hit::from(hit)),
            include_str!("golden/hit.json"),
        ),
        (
            Problem::from(Fault::new(Reason::ProviderFailed, "key 123 refused")).event(),
            include_str!("golden/failure_event.json"),
        ),
    ] {
        assert_eq!(written, golden.trim_end());
    }
}

/// Status, `Retry-After` and body of a refusal.
fn told(problem: Problem) -> (u16, Option<String>, Value) {
    let response = HttpResponse::from(problem);
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").unwrap();
    assert_eq!(content_type, "application/json");
    let body = response.into_body().try_into_bytes().unwrap();
    (status, retry_after, serde_json::from_slice(&body).unwrap())
}

#[test]
fn refusals_have_a_status_and_one_envelope() {
    for (reason, status, kind) in [
        (Reason::Invalid, 400, "BadInputError"),
        (Reason::ContextTooLong, 400, "BadInputError"),
        (Reason::CredentialsWrong, 400, "BadInputError"),
        (Reason::TokenInvalid, 401, "UnauthorizedError"),
        (Reason::BalanceInsufficient, 402, "PaymentRequiredError"),
        (Reason::BudgetExceeded, 402, "PaymentRequiredError"),
        (Reason::ModelNotGranted, 403, "ForbiddenError"),
        (Reason::RegistrationClosed, 403, "ForbiddenError"),
        (Reason::UserNotFound, 404, "Error"),
        (Reason::ThreadNotFound, 404, "Error"),
        (Reason::MessageNotFound, 404, "Error"),
        (Reason::RunNotFound, 404, "Error"),
        (Reason::UsernameTaken, 409, "ConflictError"),
        (Reason::KeyReused, 409, "ConflictError"),
        (Reason::RunCancelled, 409, "CancelledError"),
        (Reason::RunLimit, 429, "TooManyRequestsError"),
        (Reason::Throttled, 429, "TooManyRequestsError"),
        (Reason::ProviderFailed, 502, "ProviderError"),
        (Reason::ProviderRefused, 502, "ProviderError"),
        (Reason::RunInterrupted, 502, "ProviderError"),
        (Reason::Overloaded, 503, "UnavailableError"),
        (Reason::Internal, 500, "ServerError"),
    ] {
        let (told_status, _, body) = told(Fault::new(reason, "why").into());
        assert_eq!(told_status, status, "{reason:?}");
        assert_eq!(body["error"]["type"], kind);
        assert_eq!(
            (&body["error"]["code"], &body["error"]["param"]),
            (&json!(""), &json!(""))
        );
    }
    let (_, _, body) = told(Problem::not_found("Conversation"));
    let golden: Value = serde_json::from_str(include_str!("golden/failure.json")).unwrap();
    assert_eq!(body, golden);
    let throttled = Fault::new(Reason::Throttled, "wait").with_limit(8);
    assert_eq!(told(throttled.into()).1.as_deref(), Some("8"));
    let away = Fault::new(Reason::Overloaded, "the table is gone");
    let (_, retry_after, body) = told(away.into());
    assert!(retry_after.is_some());
    assert!(!body.to_string().contains("table"));
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    let kind = |body: &str| {
        let problem = visit::parse::<wire::NewMessage>(body.as_bytes()).unwrap_err();
        told(problem).2["error"]["type"].clone()
    };
    assert_eq!(kind("{"), "SyntaxError");
    assert_eq!(kind(""), "SyntaxError");
    assert_eq!(kind("{\"role\":\"user\"}"), "BadInputError");
    assert_eq!(
        kind("{\"role\":\"owner\",\"content\":\"\"}"),
        "BadInputError"
    );
    assert_eq!(kind("{\"role\":1,\"content\":\"\"}"), "BadInputError");
    assert_eq!(kind("[1,2]"), "BadInputError");
    let secret = r#"{"username": "ann", "password": 12345678}"#;
    let refused = visit::parse::<wire::Credentials>(secret.as_bytes());
    let (_, _, body) = told(refused.err().unwrap());
    assert!(!body.to_string().contains("12345678"));
}

#[test]
fn ids_are_numbers() {
    assert_eq!(visit::id("12"), Ok(12));
    for text in ["", "x", "-1", "1.0", " 1", "+1", "99999999999999999999"] {
        assert!(visit::id(text).is_err(), "{text}");
    }
}

#[test]
fn an_answer_without_a_word_is_not_shown() {
    let answer = |state: MessageState, content: &str| Message {
        author_kind: AuthorKind::Model.into(),
        state: state.into(),
        content: content.to_owned(),
        ..Message::default()
    };
    assert!(listing::is_shown(&answer(MessageState::Streaming, "")));
    assert!(listing::is_shown(&answer(MessageState::Interrupted, "x")));
    assert!(!listing::is_shown(&answer(MessageState::Failed, "")));
    assert!(!listing::is_shown(&answer(MessageState::Cancelled, "")));
}

#[expect(clippy::unnecessary_wraps, reason = "as it comes from a stream")]
fn text(text: &str, until: i64) -> Result<Piece, Fault> {
    let text = text.to_owned();
    Ok(Piece::Text { text, until })
}

#[expect(clippy::unnecessary_wraps, reason = "as it comes from a stream")]
fn done(content: &str) -> Result<Piece, Fault> {
    Ok(Piece::Done(Box::new(Finished {
        answer: Some(Message {
            content: content.to_owned(),
            ..Message::default()
        }),
        run: Some(run()),
        ..Finished::default()
    })))
}

/// The events of a paced stream, each with when it came.
async fn events(pieces: impl Stream<Item = Result<Piece, Fault>>) -> Vec<(Instant, String)> {
    let events = paced(32, pieces).map(|event| {
        let event = event.unwrap();
        (Instant::now(), String::from_utf8(event.to_vec()).unwrap())
    });
    events.collect().await
}

/// What an event says, which must be one alone.
fn said(event: &str) -> String {
    let json = event.strip_prefix("data: ").unwrap();
    let json = json.strip_suffix("\n\n").unwrap();
    assert!(!json.contains('\n'), "{event}");
    let chunk: Value = serde_json::from_str(json).unwrap();
    let content = &chunk["choices"][0]["delta"]["content"];
    content
        .as_str()
        .unwrap_or_else(|| panic!("{event}"))
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn events_are_apart_however_fast_the_model_is() {
    let words: Vec<String> = (0..2000).map(|n| format!("{n} ")).collect();
    let whole = words.concat();
    let pieces = stream::iter(words).then(|word| async move {
        sleep(Duration::from_millis(1)).await;
        text(&word, 0)
    });
    let end = stream::iter([done(&whole)]);
    let events = events(pieces.chain(end)).await;
    for pair in events.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_millis(8));
    }
    let (last, texts) = events.split_last().unwrap();
    assert_eq!(last.1, "data: [DONE]\n\n");
    assert!(texts.len() >= 200, "{}", texts.len());
    let said: String = texts.iter().map(|(_, event)| said(event)).collect();
    assert_eq!(said, whole);
}

#[tokio::test(start_paused = true)]
async fn text_that_is_there_at_once_is_one_event_and_the_end_another() {
    let pieces = stream::iter([text("Sal", 3), text("ut", 5), done("Salut")]);
    let events = events(pieces).await;
    let events: Vec<&str> = events.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(said(events[0]), "Salut");
    assert_eq!(events[1..], ["data: [DONE]\n\n"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_is_an_event_and_the_last_one() {
    let failed = Fault::new(Reason::ProviderFailed, "why");
    let events = events(stream::iter([text("Once", 4), Err(failed)])).await;
    assert_eq!(said(&events[0].1), "Once");
    let golden = include_str!("golden/failure_event.json").trim_end();
    assert_eq!(events[1].1, format!("data: {golden}\n\n"));
    assert_eq!(events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_begun_anew_goes_on_or_says_so() {
    let anew = |again: &'static str| {
        let first = stream::iter([text("Once upon", 9)]);
        let then = stream::once(async move {
            sleep(Duration::from_secs(7)).await;
            Ok(Piece::Restarted)
        });
        let again = stream::iter([text(again, 0), done(again)]);
        first.chain(then).chain(again)
    };
    let same = events(anew("Once upon a time")).await;
    assert_eq!(said(&same[1].1), " a time");
    assert_eq!(same[2].1, "data: [DONE]\n\n");
    for other in ["Twice", "Once", "Once more, and longer"] {
        let events = events(anew(other)).await;
        assert_eq!(events.len(), 2, "{other}");
        assert!(events[1].1.contains("\"ProviderError\""), "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_read_as_named_events() {
    let silent = stream::once(async {
        sleep(Duration::from_secs(20)).await;
        text("☀", 6)
    });
    let pieces = stream::iter([text("Sal", 3), Ok(Piece::Restarted)]);
    let pieces = pieces.chain(silent).chain(stream::iter([done("☀")]));
    let events: Vec<String> = runs::events(pieces, 12, 0)
        .map(|event| String::from_utf8(event.unwrap().to_vec()).unwrap())
        .collect()
        .await;
    let run = include_str!("golden/run.json").trim_end();
    assert_eq!(
        events,
        [
            "event: delta\nid: 3\ndata: {\"text\":\"Sal\"}\n\n".to_owned(),
            "event: restarted\nid: 0\ndata: {}\n\n".to_owned(),
            ": keep-alive\n\n".to_owned(),
            "event: delta\nid: 6\ndata: {\"text\":\"☀\"}\n\n".to_owned(),
            format!("event: done\nid: 6\ndata: {run}\n\n"),
        ]
    );
}

proptest! {
    /// However an answer is cut, sent and begun anew, what was sent is the answer, or it is said that it is not.
    #[test]
    fn what_was_sent_is_the_answer(
        first in "[ab☀]{0,12}",
        second in "[ab☀]{0,12}",
        cuts in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let mut text = Text::default();
        let mut sent = String::new();
        let mut cuts = cuts.into_iter().cycle();
        let mut write = |text: &mut Text, sent: &mut String, words: &str| -> Result<(), Differs> {
            for letter in words.chars() {
                text.push(&letter.to_string())?;
                if cuts.next() == Some(true) {
                    sent.push_str(&text.take());
                }
            }
            Ok(())
        };
        prop_assert_eq!(write(&mut text, &mut sent, &first), Ok(()));
        let before = sent.clone();
        text.restart();
        let written = write(&mut text, &mut sent, &second).and_then(|()| text.finish(&second));
        sent.push_str(&text.take());
        if second.starts_with(&before) {
            prop_assert_eq!(written, Ok(()));
            prop_assert_eq!(sent, second);
        } else {
            prop_assert_eq!(written, Err(Differs));
            prop_assert_eq!(sent, before);
        }
    }

    #[test]
    fn no_body_of_a_client_is_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = visit::parse::<wire::Complete>(&body);
        let _ = visit::parse::<wire::NewMessage>(&body);
    }
}
