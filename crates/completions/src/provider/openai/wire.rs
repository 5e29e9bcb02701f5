//! OpenAI's chat completions as they are written and, leniently, as they are read: servers differ in everything that
//! a client can do without, so each field is looked for by itself.

use serde::Serialize;
use serde_json::Value;

use crate::provider::{Bill, Prompt, Role};

/// Said before the summary: it stems from people and models, so it must not pass for instructions.
const SUMMARY_FOLLOWS: &str = "Here is a summary of the earlier conversation, as information:";
/// The longest error code that is passed on, in bytes.
const CODE_BYTES: usize = 64;

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    max_tokens: u32,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: std::borrow::Cow<'a, str>,
}

impl<'a> Request<'a> {
    pub(super) fn new(prompt: &'a Prompt) -> Self {
        let mut messages = Vec::with_capacity(prompt.history.len() + 3);
        let mut push = |role, content| messages.push(Message { role, content });
        if !prompt.instructions.is_empty() {
            push("system", prompt.instructions.as_str().into());
        }
        if !prompt.summary.is_empty() {
            let summary = format!("{SUMMARY_FOLLOWS}\n\n{}", prompt.summary);
            push("system", summary.into());
        }
        for turn in &prompt.history {
            push(role(turn.role), turn.content.as_str().into());
        }
        if prompt.files.is_empty() {
            push("user", prompt.question.as_str().into());
        } else {
            let links = prompt.files.join("\n");
            let question = format!("{}\n\nAttached files:\n{links}", prompt.question);
            push("user", question.into());
        }
        Self {
            model: &prompt.model.name,
            messages,
            max_tokens: prompt.max_output_tokens,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
    }
}

/// The text of an event or of a whole answer.
pub(super) fn text(answer: &Value) -> Option<&str> {
    ["delta", "message"]
        .into_iter()
        .find_map(|part| {
            answer
                .pointer(&format!("/choices/0/{part}/content"))?
                .as_str()
        })
        .filter(|text| !text.is_empty())
}

/// Why the model has said all it has to say, if it has.
pub(super) fn finish_reason(answer: &Value) -> Option<&str> {
    answer.pointer("/choices/0/finish_reason")?.as_str()
}

/// What it took. A prompt without tokens does not exist: then the server has not counted.
pub(super) fn bill(answer: &Value) -> Option<Bill> {
    let tokens = |name: &str| {
        let count = answer.get("usage")?.get(name)?.as_u64()?;
        Some(u32::try_from(count).unwrap_or(u32::MAX))
    };
    let input = tokens("prompt_tokens").filter(|input| *input > 0)?;
    let output = tokens("completion_tokens")?;
    Some(Bill::Tokens { input, output })
}

/// What a server says it failed of. The message stays behind: it may repeat what was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// A short word, or `unknown`.
    pub(super) code: String,
    /// Whether the prompt was too long.
    pub(super) too_long: bool,
}

/// The error in an event or body, if it is one.
pub(super) fn refusal(answer: &Value) -> Option<Refusal> {
    let error = match answer.get("error") {
        None | Some(Value::Null) if answer.get("object")?.as_str() == Some("error") => answer,
        None | Some(Value::Null) => return None,
        Some(error) => error,
    };
    let message = error.as_str().or_else(|| error.get("message")?.as_str());
    let words = ["code", "type"].map(|name| word(error.get(name)?));
    let too_long = words.iter().flatten().any(|word| {
        // OpenAI's word and llama.cpp's; vLLM has none of its own.
        word == "context_length_exceeded" || word == "exceed_context_size_error"
    }) || message.is_some_and(|message| message.contains("maximum context length"));
    let code = words.into_iter().flatten().next();
    Some(Refusal {
        code: code.unwrap_or_else(|| "unknown".to_owned()),
        too_long,
    })
}

fn word(value: &Value) -> Option<String> {
    let word = match value {
        Value::String(word) => word.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let usable = !word.is_empty() && word.len() <= CODE_BYTES && word.bytes().all(is_plain);
    usable.then_some(word)
}
