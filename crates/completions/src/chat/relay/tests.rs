//! What is exchanged, what is kept from the caller, and what is counted.

use confab_rpc::completions::ChatRequest;
use serde_json::{Value, json};

use super::super::request::Asked;
use super::{Passage, Unfit};
use crate::catalogue::Catalogue;
use crate::provider::Bill;
use crate::provider::tests::prompt;
use crate::settings;

fn passage(body: &Value) -> Passage {
    let settings = settings::tests::read(&[]).unwrap();
    let request = ChatRequest {
        user_id: uuid::Uuid::nil().to_string(),
        model_name: "gpt-4".to_owned(),
        body: body.to_string().into_bytes(),
        stream: body["stream"] == json!(true),
        api_key_id: String::new(),
    };
    let asked = Asked::read(request, &Catalogue::new(&settings)).unwrap();
    Passage::new("chatcmpl-1", &asked, &prompt("").model, 10, 100)
}

fn streamed(more: &Value) -> Passage {
    let mut body = json!({"messages": [{"role": "user", "content": "x"}], "stream": true});
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    passage(&body)
}

fn pass(passage: &mut Passage, event: &str) -> Option<String> {
    let event = passage.pass(event).unwrap();
    event.map(|event| String::from_utf8(event).unwrap())
}

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#;

#[test]
fn only_id_and_model_are_exchanged() {
    let event = r#"{"id":"up-1","object":"x", "model":"up","choices":[{"index":0,"delta":{"content":"\u00e9\n"},"logprobs":null}],"x_odd":1.0}"#;
    let passed = pass(&mut streamed(&json!({})), event).unwrap();
    assert_eq!(
        passed,
        r#"{"id":"chatcmpl-1","object":"x","model":"gpt-3.5-turbo-0125","choices":[{"index":0,"delta":{"content":"\u00e9\n"},"logprobs":null}],"x_odd":1.0}"#
    );
}

#[test]
fn usage_is_read_and_shown_to_those_who_asked() {
    let mut quiet = streamed(&json!({}));
    assert_eq!(pass(&mut quiet, USAGE), None);
    let with_null = pass(&mut quiet, r#"{"choices":[{"delta":{}}],"usage":null}"#).unwrap();
    assert!(!with_null.contains("usage"), "{with_null}");
    assert_eq!(quiet.missing_usage(1, 2, 3), None);
    let tokens = Bill::Tokens {
        input: 7,
        output: 5,
    };
    assert_eq!(quiet.tally().bill, Some(tokens));

    let mut asked = streamed(&json!({"stream_options": {"include_usage": true}}));
    assert!(asked.missing_usage(1, 2, 3).is_some());
    assert!(pass(&mut asked, USAGE).unwrap().contains("prompt_tokens"));
    assert_eq!(asked.missing_usage(1, 2, 3), None);

    let mut whole = passage(&json!({"messages": [{"role": "user", "content": "x"}]}));
    assert!(pass(&mut whole, USAGE).unwrap().contains("prompt_tokens"));
}

#[test]
fn all_that_a_model_wrote_is_measured() {
    let mut passage = streamed(&json!({"n": 2}));
    let events = [
        r#"{"choices":[{"index":0,"delta":{"content":"123456"}},{"index":1,"delta":{"content":"123"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"id":"call_1234567","function":{"name":"ab","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_content":"12"},"finish_reason":"stop"}]}"#,
    ];
    for event in events {
        pass(&mut passage, event);
        assert!(!passage.is_finished());
    }
    assert_eq!(passage.tally().text_bytes, 6 + 3 + 2 + 2 + 2);
    assert_eq!(passage.tally().estimated_output(), 5);
    pass(
        &mut passage,
        r#"{"choices":[{"index":1,"finish_reason":"length"}]}"#,
    );
    assert!(passage.is_finished());
}

#[test]
fn an_answer_without_an_end_has_one() {
    let mut passage = streamed(&json!({}));
    let long = format!(
        r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#,
        "x".repeat(60)
    );
    assert!(passage.pass(&long).is_ok());
    assert_eq!(passage.pass(&long), Err(Unfit::TooLong));

    let mut passage = streamed(&json!({}));
    let empty = r#"{"choices":[{"delta":{}}]}"#;
    let end = (0..10_000).find(|_| passage.pass(empty).is_err());
    assert_eq!(end, Some(10 * 16 + 1_024));
}

#[test]
fn odd_events_pass() {
    let mut passage = streamed(&json!({}));
    for odd in [
        "{}",
        r#"{"choices":7}"#,
        r#"{"choices":[null]}"#,
        r#"{"usage":"much"}"#,
    ] {
        assert!(pass(&mut passage, odd).is_some(), "{odd}");
    }
    assert_eq!(passage.tally().text_bytes, 0);
    for no_object in ["", "[]", "{\"choices\":"] {
        assert_eq!(passage.pass(no_object), Err(Unfit::Malformed));
    }
}
