//! What a server says it failed of, and whose fault that was.

use std::time::Duration;

use serde_json::Value;

use crate::provider::{Cause, Failure, ProviderError};

/// The longest error code that is logged, in bytes.
const CODE_BYTES: usize = 64;
/// The most of a message that is told, in bytes.
const MESSAGE_BYTES: usize = 2 * 1024;
/// Words for a prompt that is too long: OpenAI's and llama.cpp's; vLLM has none of its own.
const TOO_LONG: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];
/// Words for a request that is wrong wherever it is made.
const WRONG: [&str; 4] = [
    "invalid_request_error",
    "content_policy_violation",
    "content_filter",
    "invalid_prompt",
];

/// What a server says it failed of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Short words, the most exact one first.
    pub(super) words: Vec<String>,
    /// Whether the prompt was too long.
    pub(super) too_long: bool,
    /// In a sentence, which may repeat what was asked: for the caller, never for the log.
    pub(super) message: String,
}

impl Refusal {
    /// The error in an event or body, if it is one.
    pub(super) fn find(answer: &Value) -> Option<Self> {
        let error = match answer.get("error") {
            None | Some(Value::Null) if answer.get("object")?.as_str() == Some("error") => answer,
            None | Some(Value::Null) => return None,
            Some(error) => error,
        };
        let message = error.as_str().or_else(|| error.get("message")?.as_str());
        let message = message.unwrap_or_default();
        let words: Vec<_> = ["code", "type"]
            .into_iter()
            .filter_map(|name| word(error.get(name)?))
            .collect();
        let too_long = words.iter().any(|word| TOO_LONG.contains(&word.as_str()))
            || message.contains("maximum context length");
        Some(Self {
            words,
            too_long,
            message: message[..message.floor_char_boundary(MESSAGE_BYTES)].to_owned(),
        })
    }

    /// A short word, or `unknown`.
    pub(super) fn code(&self) -> &str {
        self.words.first().map_or("unknown", String::as_str)
    }

    /// What follows from it as the answer to a request.
    pub(super) fn with_status(self, status: u16, told: Option<Duration>) -> Failure {
        let said = format!("status {status}, {}", self.code());
        self.failure(status, told, said)
    }

    /// What follows from it in the middle of an answer that had begun well.
    pub(super) fn in_answer(self) -> Failure {
        let said = format!("the answer broke off: {}", self.code());
        let status = match self.code() {
            "server_error" | "overloaded_error" => 500,
            "rate_limit_exceeded" | "insufficient_quota" => 429,
            code => code.parse().unwrap_or_default(),
        };
        self.failure(status, None, said)
    }

    /// The table of [`crate::provider::routing`].
    fn failure(self, status: u16, told: Option<Duration>, said: String) -> Failure {
        let is = |word: &str| self.words.iter().any(|found| found == word);
        if self.too_long || status == 413 {
            return Failure::too_long();
        }
        let cause = match status {
            408 | 409 | 425 | 500..=599 => Cause::Moment(told),
            429 if is("insufficient_quota") => Cause::Key,
            429 => Cause::Limited(told),
            401..=403 => Cause::Key,
            404 | 405 | 300..=399 => Cause::Settings,
            400..=499 => Cause::Request,
            _ if WRONG.iter().any(|word| is(word)) => Cause::Request,
            _ => Cause::Provider,
        };
        let error = match cause {
            // A caller may have named a model that only its provider knows not to exist.
            Cause::Request | Cause::Settings if !self.message.is_empty() => {
                ProviderError::Refused {
                    said,
                    message: self.message,
                }
            }
            Cause::Request => ProviderError::Refused {
                message: said.clone(),
                said,
            },
            _ => ProviderError::Failed(said),
        };
        Failure { error, cause }
    }
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
