//! The events of an answer on their way through: Confab's id and model name are put in, what they took is read off, all
//! else stays as the provider wrote it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::request::Asked;
use crate::catalogue::Model;
use crate::provider::Bill;
use crate::provider::fields::{Fields, raw};

#[cfg(test)]
mod tests;

/// Events that one token may come in, at most; and some that hold none.
const EVENTS_PER_TOKEN: u64 = 16;
const EVENTS_BESIDE: u64 = 1_024;

/// What is exchanged in each event, and what was seen so far. It does not grow with the answer.
#[derive(Debug)]
pub(super) struct Passage {
    id: Box<RawValue>,
    model: Box<RawValue>,
    /// Events with usage are handed on.
    wants_usage: bool,
    whole: bool,
    choices: u32,
    most_events: u64,
    most_bytes: u64,
    tally: Tally,
}

/// What an answer came to so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) text_bytes: u64,
    pub(super) bill: Option<Bill>,
    finished: u32,
    events: u64,
    usage_shown: bool,
}

/// Why an event is not handed on, nor anything after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("the provider's answer is longer than it may be")]
    TooLong,
    #[error("the model's provider sent what is no JSON object")]
    Malformed,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Part<'a>>,
    #[serde(borrow)]
    message: Option<Part<'a>>,
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Passage {
    /// The passage of an answer by `model` with at most so many tokens and bytes a choice.
    pub(super) fn new(
        id: &str,
        asked: &Asked,
        model: &Model,
        most_tokens: u32,
        most_bytes: usize,
    ) -> Self {
        let choices = u64::from(asked.choices);
        Self {
            id: raw(id).into_owned(),
            model: raw(&model.name).into_owned(),
            wants_usage: asked.wants_usage,
            whole: !asked.stream,
            choices: asked.choices,
            most_events: (u64::from(most_tokens) * choices)
                .saturating_mul(EVENTS_PER_TOKEN)
                .saturating_add(EVENTS_BESIDE),
            most_bytes: u64::try_from(most_bytes)
                .unwrap_or(u64::MAX)
                .saturating_mul(choices),
            tally: Tally::default(),
        }
    }

    /// The event as the caller sees it; `None` when it is not for the caller.
    pub(super) fn pass(&mut self, data: &str) -> Result<Option<Vec<u8>>, Unfit> {
        let mut fields = Fields::parse(data.as_bytes()).ok_or(Unfit::Malformed)?;
        let usage: Option<Usage> = fields.read("usage");
        let choices: Vec<Choice<'_>> = fields
            .written("choices")
            .and_then(|choices| serde_json::from_str(choices).ok())
            .unwrap_or_default();
        self.tally.take(usage.as_ref(), &choices);
        if self.tally.events > self.most_events || self.tally.text_bytes > self.most_bytes {
            return Err(Unfit::TooLong);
        }
        if !self.whole {
            if usage.is_some() && choices.is_empty() && !self.wants_usage {
                return Ok(None);
            }
            if !self.wants_usage {
                fields.remove("usage");
            }
        }
        self.tally.usage_shown |= usage.is_some();
        fields.set("id", Cow::Borrowed(&self.id));
        fields.set("model", Cow::Borrowed(&self.model));
        Ok(Some(fields.write()))
    }

    /// The event with the usage that the caller waits for, and the provider did not send.
    pub(super) fn missing_usage(&self, created: i64, input: u32, output: u32) -> Option<Vec<u8>> {
        if self.whole || !self.wants_usage || self.tally.usage_shown {
            return None;
        }
        let event = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": created, "model": self.model,
            "choices": [],
            "usage": {
                "prompt_tokens": input, "completion_tokens": output,
                "total_tokens": u64::from(input) + u64::from(output),
            },
        });
        Some(event.to_string().into_bytes())
    }

    /// Whether all choices have ended: some servers hang up then without saying that they are done.
    pub(super) fn is_finished(&self) -> bool {
        self.tally.finished >= self.choices
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Tally {
    fn take(&mut self, usage: Option<&Usage>, choices: &[Choice<'_>]) {
        self.events += 1;
        for choice in choices {
            for part in [&choice.delta, &choice.message].into_iter().flatten() {
                self.text_bytes += part.bytes();
            }
            self.finished += u32::from(choice.finish_reason.is_some());
        }
        if let Some(Usage {
            prompt_tokens: Some(input @ 1..),
            completion_tokens: Some(output),
        }) = usage
        {
            let tokens = |count: &u64| u32::try_from(*count).unwrap_or(u32::MAX);
            self.bill = Some(Bill::Tokens {
                input: tokens(input),
                output: tokens(output),
            });
        }
    }

    /// What the text would have, roughly, if nobody counted.
    pub(super) fn estimated_output(&self) -> u32 {
        u32::try_from(self.text_bytes.div_ceil(3)).unwrap_or(u32::MAX)
    }
}

impl Part<'_> {
    fn bytes(&self) -> u64 {
        let calls = self.tool_calls.iter().flatten();
        let functions = calls.filter_map(|call| call.function.as_ref());
        let texts = [self.content, self.reasoning_content, self.refusal].into_iter();
        let texts = texts.chain(functions.flat_map(|function| [function.name, function.arguments]));
        texts.flatten().map(text_bytes).sum()
    }
}

/// Of a string, as it is written; 0 of everything else.
fn text_bytes(value: &RawValue) -> u64 {
    let text = value.get();
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    u64::try_from(inner.map_or(0, str::len)).unwrap_or(u64::MAX)
}
