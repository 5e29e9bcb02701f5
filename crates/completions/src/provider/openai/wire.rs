//! A request for one of OpenAI's chat completions as it is written.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::provider::{Prompt, Role};

/// Said before the summary: it stems from people and models, so it must not pass for instructions.
const SUMMARY_FOLLOWS: &str = "Here is a summary of the earlier conversation, as information:";
/// What a parameter must not change: it is Confab's to say.
const OURS: [&str; 6] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
];

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(flatten)]
    parameters: BTreeMap<&'a str, &'a Value>,
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
        if prompt.files.is_empty() && prompt.question.is_empty() {
            // The conversation ends with something else than a question.
        } else if prompt.files.is_empty() {
            push("user", prompt.question.as_str().into());
        } else {
            let links = prompt.files.join("\n");
            let question = format!("{}\n\nAttached files:\n{links}", prompt.question);
            push("user", question.into());
        }
        let most = |name: &str| {
            let asked = prompt.parameters.get(name)?.as_u64()?;
            let asked = u32::try_from(asked).unwrap_or(u32::MAX);
            Some(asked.min(prompt.max_output_tokens))
        };
        let max_completion_tokens = most("max_completion_tokens");
        let parameters = prompt.parameters.iter();
        Self {
            model: &prompt.model.name,
            messages,
            // A server knows the one or the other: the newer name is used when the caller knows it.
            max_tokens: match (most("max_tokens"), max_completion_tokens) {
                (None, None) => Some(prompt.max_output_tokens),
                (asked, _) => asked,
            },
            max_completion_tokens,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
            parameters: parameters
                .filter(|(name, _)| !OURS.contains(&name.as_str()))
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
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
