//! The language itself: what is read, what is written. What the services make of it is tested with them.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::test::TestRequest;
use confab_cache::Cache;
use confab_rpc::completions::ask_event::Event;
use confab_rpc::completions::{
    AskEvent, Delta, EmbedResponse, Embedding, Finished, Model, Restarted, Run, Started, Usage,
};
use confab_rpc::threads::{AuthorKind, Message};
use confab_rpc::{Fault, Reason};
use confab_runtime::Tasks;
use futures_util::{Stream, StreamExt, stream};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tonic::Status;

use super::conversation::answer::Answer;
use super::conversation::named;
use super::embeddings::texts;
use super::events::frames;
use super::fault::Refused;
use super::stamp::span;
use super::turn::Turn;
use super::visit::parse;
use super::wire::{ChatBody, ConversationId, Embeddings, EmbeddingsBody, Format, Models, TurnBody};
use crate::caller::Scope;
use crate::limits::{Exceeded, Limits};
use crate::settings;

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Status, headers that tell when to come back, and body of a failure.
fn told(refused: Refused) -> (u16, [Option<String>; 3], Value) {
    let response = HttpResponse::from(refused);
    let header = |name| {
        let value = response.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let headers = ["retry-after", "retry-after-ms", "x-should-retry"].map(header);
    let status = response.status().as_u16();
    let body = response.into_body().try_into_bytes().unwrap();
    (status, headers, serde_json::from_slice(&body).unwrap())
}

#[test]
fn failures_have_openais_statuses_and_codes() {
    for (reason, status, kind, code) in [
        (Reason::Invalid, 400, "invalid_request_error", None),
        (
            Reason::ProviderRefused,
            400,
            "invalid_request_error",
            Some("provider_refused"),
        ),
        (
            Reason::ContextTooLong,
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
        ),
        (
            Reason::TokenInvalid,
            401,
            "invalid_request_error",
            Some("invalid_api_key"),
        ),
        (
            Reason::ApiKeyNotFound,
            401,
            "invalid_request_error",
            Some("invalid_api_key"),
        ),
        (
            Reason::ModelNotFound,
            404,
            "invalid_request_error",
            Some("model_not_found"),
        ),
        (
            Reason::ThreadNotFound,
            404,
            "invalid_request_error",
            Some("conversation_not_found"),
        ),
        (
            Reason::KeyReused,
            409,
            "invalid_request_error",
            Some("idempotency_key_reused"),
        ),
        (
            Reason::BalanceInsufficient,
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        (
            Reason::BudgetExceeded,
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
        ),
        (
            Reason::RunLimit,
            429,
            "requests",
            Some("rate_limit_exceeded"),
        ),
        (Reason::Internal, 500, "server_error", Some("internal")),
        (
            Reason::ProviderFailed,
            502,
            "server_error",
            Some("provider_failed"),
        ),
        (Reason::Overloaded, 503, "server_error", Some("overloaded")),
    ] {
        let (told_status, _, body) = told(Fault::new(reason, "why").into());
        assert_eq!(told_status, status, "{reason:?}");
        assert_eq!(body["error"]["type"], kind, "{reason:?}");
        assert_eq!(body["error"]["code"], json!(code), "{reason:?}");
    }
}

#[test]
fn a_model_that_is_not_granted_reads_like_none() {
    let [unknown, foreign] = [Reason::ModelNotFound, Reason::ModelNotGranted]
        .map(|reason| told(Refused::of(Fault::new(reason, "why"), "gpt-9")));
    assert_eq!(unknown, foreign);
    assert_eq!(unknown.2, golden(include_str!("golden/error.json")));
}

#[test]
fn sdks_are_told_whether_to_come_back() {
    let headers = |refused| told(refused).1;
    let text = |text: &str| Some(text.to_owned());
    let exceeded = Exceeded {
        what: "tokens",
        limit: 9,
        wait: Duration::from_millis(1200),
    };
    assert_eq!(headers(exceeded.into()), [text("2"), text("1200"), None]);
    let poor = Fault::new(Reason::BalanceInsufficient, "why");
    assert_eq!(headers(poor.into()), [None, None, text("false")]);
    let reused = Fault::new(Reason::KeyReused, "why");
    assert_eq!(headers(reused.into()), [None, None, text("false")]);
    let away = Fault::new(Reason::Overloaded, "why");
    assert_eq!(headers(away.into()), [text("2"), text("2000"), None]);
    assert_eq!(headers(Refused::invalid("why")), [None, None, None]);
}

#[test]
fn a_failure_of_ours_shows_no_cause() {
    let (_, _, body) = told(Fault::new(Reason::Internal, "the table is gone").into());
    assert!(!body.to_string().contains("table"));
    let (status, _, body) = told(Refused::missing_scope(Scope::Embeddings));
    assert_eq!(status, 403);
    assert!(body.to_string().contains("`embeddings`"));
}

#[test]
fn a_body_that_is_wrong_is_not_repeated() {
    for body in [r#"{"model": 12345678}"#, r#"{"model": "12345678""#] {
        let (status, _, told) = told(parse::<ChatBody>(body.as_bytes()).unwrap_err());
        assert_eq!(status, 400);
        assert!(!told.to_string().contains("12345678"), "{told}");
    }
}

#[test]
fn models_are_listed_as_by_openai() {
    let model = Model {
        id: 4,
        name: "gpt-4-turbo".to_owned(),
        provider: "openai".to_owned(),
        ..Model::default()
    };
    let listed = Models::of(vec![model.into()]);
    assert_eq!(
        serde_json::to_value(listed).unwrap(),
        golden(include_str!("golden/models.json"))
    );
}

#[test]
fn vectors_are_numbers_or_bytes() {
    for (format, expected) in [
        (Format::Float, include_str!("golden/embeddings.json")),
        (
            Format::Base64,
            include_str!("golden/embeddings_base64.json"),
        ),
    ] {
        let embeddings = [vec![0.5, -1.0], vec![0.0, 0.25]];
        let answer = EmbedResponse {
            embeddings: embeddings.map(|values| Embedding { values }).into(),
            usage: Some(Usage {
                input_tokens: 7,
                output_tokens: 0,
            }),
            cost_microdollars: 1,
            model: "confab-hash-384".to_owned(),
        };
        let told = serde_json::to_value(Embeddings::of(answer, format)).unwrap();
        assert_eq!(told, golden(expected));
    }
}

#[test]
fn texts_are_embedded_and_tokens_are_not() {
    let texts = |input: &Value| {
        let body = json!({ "model": "m", "input": input }).to_string();
        texts(parse::<EmbeddingsBody>(body.as_bytes()).unwrap().input)
    };
    assert_eq!(texts(&json!("a")).unwrap(), ["a"]);
    assert_eq!(texts(&json!(["a", "b"])).unwrap(), ["a", "b"]);
    for wrong in [
        json!(""),
        json!([]),
        json!(["a", ""]),
        json!([1, 2]),
        json!([[1], [2]]),
        json!(null),
        json!(vec!["a"; 2049]),
    ] {
        let (status, _, body) = told(texts(&wrong).unwrap_err());
        assert_eq!((status, &body["error"]["param"]), (400, &json!("input")));
    }
}

#[test]
fn spans_are_written_as_by_openai() {
    for (milliseconds, text) in [
        (0, "0ms"),
        (820, "820ms"),
        (1000, "1s"),
        (59_500, "59.5s"),
        (60_000, "1m0s"),
        (61_020, "1m1.02s"),
    ] {
        assert_eq!(span(Duration::from_millis(milliseconds)), text);
    }
}

#[test]
fn a_conversation_is_named_in_the_header_or_the_body() {
    let bare = TestRequest::default().to_http_request();
    let name = |body: &str| {
        let body: ChatBody = parse(body.as_bytes()).unwrap();
        named(&bare, body.metadata.as_ref()).unwrap()
    };
    assert_eq!(name(r#"{"model": "m", "messages": []}"#), None);
    assert_eq!(name(r#"{"metadata": null}"#), None);
    assert_eq!(name(r#"{"metadata": {"topic": "x"}}"#), None);
    let number = ConversationId::Number(7);
    assert_eq!(
        name(r#"{"metadata": {"conversation_id": 7}}"#),
        Some(number)
    );
    let text = ConversationId::Text("7".to_owned());
    assert_eq!(
        name(r#"{"metadata": {"conversation_id": "7"}}"#),
        Some(text.clone())
    );
    let request = TestRequest::default().insert_header(("X-Confab-Conversation", "7"));
    assert_eq!(named(&request.to_http_request(), None).unwrap(), Some(text));
}

fn turn(body: &Value) -> Result<Turn, (u16, Value)> {
    let body = parse::<TurnBody>(body.to_string().as_bytes()).unwrap();
    Turn::of(body).map_err(|refused| {
        let (status, _, body) = told(refused);
        (status, body["error"]["param"].clone())
    })
}

#[test]
fn the_last_message_is_the_question_and_instructions_are_for_this_answer() {
    let turn = turn(&json!({
        "model": "m", "stream": true, "stream_options": { "include_usage": true }, "n": 1, "temperature": 0.5,
        "stop": null, "tools": [], "metadata": { "conversation_id": 7 }, "store": true,
        "messages": [
            { "role": "system", "content": "Be short." },
            { "role": "user", "content": "One?" },
            { "role": "assistant", "content": "One." },
            { "role": "developer", "content": "Be kind." },
            { "role": "user", "content": [{ "type": "text", "text": "And " }, { "type": "text", "text": "two?" }] },
        ],
    }))
    .unwrap();
    let expected = Turn {
        model: "m".to_owned(),
        instructions: "Be short.\n\nBe kind.".to_owned(),
        earlier: vec![
            (AuthorKind::Person, "One?".to_owned()),
            (AuthorKind::Model, "One.".to_owned()),
        ],
        question: "And two?".to_owned(),
        parameters: json!({ "temperature": 0.5 }).as_object().unwrap().clone(),
        stream: true,
        include_usage: true,
    };
    assert_eq!(turn, expected);
}

#[test]
fn a_stored_conversation_holds_texts() {
    let question = json!({ "role": "user", "content": "Q" });
    let asked = |extra: &Value| {
        let mut body = json!({ "model": "m", "messages": [question] });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        turn(&body).map(|_| ()).unwrap_err()
    };
    let image = json!({ "type": "image_url", "image_url": { "url": "data:," } });
    for (extra, param) in [
        (json!({ "model": null }), "model"),
        (json!({ "n": 2 }), "n"),
        (json!({ "tools": [{ "type": "function" }] }), "tools"),
        (json!({ "logprobs": true }), "logprobs"),
        (json!({ "messages": [] }), "messages"),
        (
            json!({ "messages": [{ "role": "assistant", "content": "A" }] }),
            "messages",
        ),
        (
            json!({ "messages": [{ "role": "tool", "content": "A" }, question] }),
            "messages[0].role",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [image] }] }),
            "messages[0].content",
        ),
        (
            json!({ "messages": [{ "role": "assistant", "content": null, "tool_calls": [{}] }, question] }),
            "messages[0].content",
        ),
    ] {
        assert_eq!(asked(&extra), (400, json!(param)), "{extra}");
    }
}

fn event(event: Event) -> AskEvent {
    AskEvent { event: Some(event) }
}

fn delta(offset: i64, text: &str) -> AskEvent {
    let text = text.to_owned();
    event(Event::Delta(Delta { offset, text }))
}

fn started() -> AskEvent {
    event(Event::Started(Started {
        run_id: "0192f0a1-0000-7000-8000-000000000001".to_owned(),
        answer: Some(message("")),
        ..Started::default()
    }))
}

fn finished(text: &str) -> AskEvent {
    event(Event::Finished(Finished {
        answer: Some(message(text)),
        usage: Some(Usage {
            input_tokens: 10,
            output_tokens: 2,
        }),
        run: Some(Run {
            finish_reason: "length".to_owned(),
            ..Run::default()
        }),
        ..Finished::default()
    }))
}

fn message(content: &str) -> Message {
    Message {
        content: content.to_owned(),
        model: "gpt-4-turbo".to_owned(),
        created_at: Some(Timestamp {
            seconds: 1_741_948_582,
            nanos: 680_911_000,
        }),
        ..Message::default()
    }
}

fn telling(
    events: Vec<AskEvent>,
    failure: Option<Fault>,
) -> Answer<impl Stream<Item = Result<AskEvent, Status>> + Unpin> {
    let cache = confab_cache::Settings {
        url: "".into(),
        timeout_ms: 1,
    };
    let none = settings::Limits {
        requests_per_minute: 0,
        tokens_per_minute: 0,
    };
    let limits = Limits::new(&none, &Cache::open(&cache).unwrap(), &Tasks::new());
    let meter = limits.meter("ann".to_owned());
    let failure = failure.map(|fault| Err(fault.into()));
    let events = events.into_iter().map(Ok).chain(failure);
    Answer::new(stream::iter(events), meter, "asked".to_owned(), true)
}

/// What is written of a run.
async fn written(events: Vec<AskEvent>, failure: Option<Fault>) -> String {
    let chunks = stream::try_unfold(telling(events, failure), async |mut answer: Answer<_>| {
        Ok(answer.next().await?.map(|json| (vec![json], answer)))
    });
    let frames: Vec<_> = frames(chunks).collect().await;
    String::from_utf8(frames.concat()).unwrap()
}

#[tokio::test]
async fn a_run_is_told_in_chunks() {
    let chunks = include_str!("golden/chunks.txt");
    let whole = vec![
        started(),
        delta(0, "Hel"),
        delta(3, "lo."),
        finished("Hello."),
    ];
    assert_eq!(written(whole, None).await, chunks);
    // Another process began anew, in the same words.
    let again = vec![
        started(),
        delta(0, "Hel"),
        event(Event::Restarted(Restarted {})),
        delta(0, "H"),
        delta(1, "ello."),
        finished("Hello."),
    ];
    assert_eq!(written(again, None).await, chunks);
    // What was not heard is told at the end.
    let behind = vec![started(), delta(0, "Hel"), finished("Hello.")];
    assert_eq!(written(behind, None).await, chunks);
}

#[tokio::test]
async fn what_fails_in_the_middle_is_the_last_event() {
    let other = vec![
        started(),
        delta(0, "Hel"),
        event(Event::Restarted(Restarted {})),
        delta(0, "Hal"),
        delta(3, "lo."),
        finished("Hallo."),
    ];
    let cut = vec![started(), delta(0, "Hel")];
    let failure = Fault::new(Reason::ProviderFailed, "why");
    for (events, failure, code) in [
        (other, None, "interrupted"),
        (cut.clone(), Some(failure), "provider_failed"),
        (cut, None, "internal"),
    ] {
        let written = written(events, failure).await;
        let frames: Vec<&str> = written.split_terminator("\n\n").collect();
        assert_eq!(frames.len(), 3, "{written}");
        let last = frames[2].strip_prefix("data: ").unwrap();
        assert_eq!(golden(last)["error"]["code"], code);
    }
}

#[tokio::test]
async fn a_run_is_told_whole() {
    let mut answer = telling(vec![started(), delta(0, "Hel"), finished("Hello.")], None);
    let finished = answer.finish().await.unwrap();
    assert_eq!(
        serde_json::to_value(answer.whole(&finished)).unwrap(),
        golden(include_str!("golden/completion.json"))
    );
}
