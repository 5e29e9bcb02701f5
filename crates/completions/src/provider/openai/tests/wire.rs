//! What is sent, and what is looked for in what comes back.

use serde_json::json;

use super::super::wire::{Request, bill, refusal, text};
use crate::provider::tests::prompt;
use crate::provider::{Bill, Role, Turn};

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
        let found = refusal(&answer).unwrap();
        assert_eq!((found.code.as_str(), found.too_long), (code, too_long));
    }
    for answer in [json!({}), json!({"error": null}), json!([]), json!(1)] {
        assert_eq!(refusal(&answer), None, "{answer}");
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
        assert_eq!((text(&odd), bill(&odd)), (None, None), "{odd}");
    }
    let huge = json!({"usage": {"prompt_tokens": u64::MAX, "completion_tokens": 1}});
    let most = Bill::Tokens {
        input: u32::MAX,
        output: 1,
    };
    assert_eq!(bill(&huge), Some(most));
}
