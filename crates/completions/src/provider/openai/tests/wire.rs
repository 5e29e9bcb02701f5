//! What is sent, and what is looked for in what comes back.

use serde_json::json;

use super::super::refusal::Refusal;
use super::super::told::Told;
use super::super::wire::Request;
use crate::provider::tests::prompt;
use crate::provider::{Bill, ProviderError, Role, Turn};

#[test]
fn a_plain_question_is_one_message() {
    let prompt = prompt("Why?");
    assert_eq!(
        serde_json::to_value(Request::new(&prompt)).unwrap(),
        json!({
            "model": "gpt-3.5-turbo-0125",
            "messages": [{"role": "user", "content": "Why?"}],
            "max_tokens": 4096,
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[test]
fn everything_known_is_sent_in_order_and_apart() {
    let mut prompt = prompt("Why?");
    prompt.instructions = "Be brief.".to_owned();
    prompt.summary = "They met.".to_owned();
    prompt.files = vec!["http://a/1".to_owned(), "http://a/2".to_owned()];
    prompt.history = [(Role::User, "Hi"), (Role::Assistant, "Hello")]
        .map(|(role, content)| Turn {
            role,
            content: content.to_owned(),
        })
        .to_vec();
    let sent = serde_json::to_value(Request::new(&prompt)).unwrap();
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "system", "content": "Be brief."},
            {
                "role": "system",
                "content": "Here is a summary of the earlier conversation, as information:\n\nThey met.",
            },
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Why?\n\nAttached files:\nhttp://a/1\nhttp://a/2"},
        ])
    );
}

#[test]
fn parameters_go_along_and_change_nothing_of_ours() {
    let mut prompt = prompt("Why?");
    prompt.max_output_tokens = 100;
    let parameters = json!({
        "temperature": 0.5, "stop": ["x"], "model": "other", "messages": [], "stream": false,
        "stream_options": null, "max_completion_tokens": 7,
    });
    prompt.parameters = parameters.as_object().unwrap().clone();
    let sent = serde_json::to_value(Request::new(&prompt)).unwrap();
    assert_eq!(
        sent,
        json!({
            "model": "gpt-3.5-turbo-0125",
            "messages": [{"role": "user", "content": "Why?"}],
            "max_completion_tokens": 7,
            "stream": true,
            "stream_options": {"include_usage": true},
            "temperature": 0.5,
            "stop": ["x"],
        })
    );
    for (asked, sent) in [(json!(99), 99), (json!(101), 100), (json!("many"), 100)] {
        prompt.parameters = [("max_tokens".to_owned(), asked)].into_iter().collect();
        let request = serde_json::to_value(Request::new(&prompt)).unwrap();
        assert_eq!(request["max_tokens"], sent);
    }
}

#[test]
fn whose_fault_a_status_is() {
    use crate::provider::Cause;
    let told = Some(std::time::Duration::from_secs(3));
    for (status, answer, cause) in [
        (400, json!({"error": {"message": "x"}}), Cause::Request),
        (422, json!({}), Cause::Request),
        (
            400,
            json!({"error": {"code": "context_length_exceeded"}}),
            Cause::Length,
        ),
        (413, json!({}), Cause::Length),
        (401, json!({}), Cause::Key),
        (403, json!({}), Cause::Key),
        (429, json!({}), Cause::Limited(told)),
        (
            429,
            json!({"error": {"type": "insufficient_quota"}}),
            Cause::Key,
        ),
        (404, json!({}), Cause::Settings),
        (307, json!({}), Cause::Settings),
        (408, json!({}), Cause::Moment(told)),
        (500, json!({}), Cause::Moment(told)),
        (529, json!({}), Cause::Moment(told)),
    ] {
        let refusal = Refusal::find(&answer).unwrap_or_default();
        assert_eq!(refusal.with_status(status, told).cause, cause, "{status}");
    }
}

#[test]
fn a_message_is_told_to_the_caller_and_bounded() {
    let long = "ä".repeat(3_000);
    let refusal = Refusal::find(&json!({"error": {"message": long}})).unwrap();
    let ProviderError::Refused { said, message } = refusal.with_status(400, None).error else {
        panic!("another error");
    };
    assert_eq!(
        (said.as_str(), message.len()),
        ("status 400, unknown", 2048)
    );
}

#[test]
fn refusals_are_known_by_a_word_and_never_repeat_their_message() {
    let canary = "canary ".repeat(20);
    for (answer, code, too_long) in [
        (
            json!({"error": {"code": "context_length_exceeded"}}),
            "context_length_exceeded",
            true,
        ),
        (
            json!({"error": {"code": 400, "type": "exceed_context_size_error"}}),
            "400",
            true,
        ),
        (
            json!({"object": "error", "message": "maximum context length is 8", "code": 400}),
            "400",
            true,
        ),
        (
            json!({"error": {"code": null, "type": "server_error", "message": canary}}),
            "server_error",
            false,
        ),
        (
            json!({"error": {"code": canary, "type": "a b"}}),
            "unknown",
            false,
        ),
        (json!({"error": canary}), "unknown", false),
        (json!({"error": {}}), "unknown", false),
    ] {
        let found = Refusal::find(&answer).unwrap();
        assert_eq!((found.code(), found.too_long), (code, too_long));
        let failure = found.with_status(500, None);
        assert!(!failure.error.to_string().contains("canary"));
    }
    for answer in [json!({}), json!({"error": null}), json!([]), json!(1)] {
        assert_eq!(Refusal::find(&answer), None, "{answer}");
    }
}

#[test]
fn odd_answers_are_read_as_far_as_they_go() {
    for odd in [
        json!({"choices": []}),
        json!({"choices": [{"delta": {"content": null}}]}),
        json!({"choices": [{"delta": {"content": ""}}]}),
        json!({"choices": [{"delta": {"content": [{"type": "text"}]}}]}),
        json!({"usage": {"prompt_tokens": "many", "completion_tokens": 1}}),
        json!({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}),
        json!({"usage": {"prompt_tokens": -1, "completion_tokens": 1}}),
        json!("text"),
    ] {
        assert_eq!(Told::read(&odd.to_string()), Some(Told::default()), "{odd}");
    }
    let huge = json!({"usage": {"prompt_tokens": u64::MAX, "completion_tokens": 1}});
    let most = Bill::Tokens {
        input: u32::MAX,
        output: 1,
    };
    assert_eq!(Told::read(&huge.to_string()).unwrap().bill, Some(most));
    assert_eq!(Told::read("{"), None);
}

#[test]
fn an_event_tells_the_same_whether_it_looks_as_usual_or_not() {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12});
    for event in [
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Gr\u{fc}\u{df}e"}}]}),
        json!({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": null}),
        json!({"choices": [{"delta": {"content": null}, "message": {"content": "a"}}], "usage": usage}),
        json!({"choices": [{"delta": {"content": ""}, "message": {"content": "a"}}]}),
        json!({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}], "error": null}),
        json!({"choices": [], "usage": usage}),
        json!({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}),
    ] {
        let usual = Told::read(&event.to_string());
        // What it has beside that is looked at field by field.
        let mut odd = event.clone();
        odd["choices"].as_array_mut().unwrap().push(json!("odd"));
        assert_eq!(usual, Told::read(&odd.to_string()), "{event}");
        assert_ne!(usual, None, "{event}");
    }
}
