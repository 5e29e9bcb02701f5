//! What an event, or a whole answer, tells.
//!
//! Servers differ in everything that a client can do without, so where one does not look as usual each field is looked for
//! by itself.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::refusal::Refusal;
use crate::provider::Bill;

/// What is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Never empty.
    pub(super) text: Option<String>,
    /// Why the model has said all it has to say, if it has.
    pub(super) finish_reason: Option<String>,
    /// What it took. A prompt without tokens does not exist: then the server has not counted.
    pub(super) bill: Option<Bill>,
    /// That it was no answer.
    pub(super) refusal: Option<Refusal>,
}

/// How it usually looks, so that an event for every word costs little.
#[derive(Deserialize)]
struct Usual {
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Part>,
    message: Option<Part>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Told {
    /// `None`: it is not JSON.
    pub(super) fn read(text: &str) -> Option<Self> {
        match serde_json::from_str(text) {
            Ok(Usual {
                choices,
                usage,
                error: None,
            }) => Some(Self::usual(choices, usage)),
            _ => serde_json::from_str(text).ok().map(|it| Self::unusual(&it)),
        }
    }

    fn usual(choices: Vec<Choice>, usage: Option<Usage>) -> Self {
        let first = choices.into_iter().next();
        let (parts, finish_reason) = match first {
            Some(first) => ([first.delta, first.message], first.finish_reason),
            None => ([None, None], None),
        };
        let mut contents = parts.into_iter().filter_map(|part| part?.content);
        Self {
            text: contents.next().filter(|text| !text.is_empty()),
            finish_reason,
            bill: usage.and_then(|usage| bill(usage.prompt_tokens, usage.completion_tokens)),
            refusal: None,
        }
    }

    fn unusual(answer: &Value) -> Self {
        let choice = &answer["choices"][0];
        let contents = ["delta", "message"].map(|part| choice[part]["content"].as_str());
        let text = contents.into_iter().flatten().next();
        let tokens = |name: &str| answer["usage"][name].as_u64();
        Self {
            text: text.filter(|text| !text.is_empty()).map(str::to_owned),
            finish_reason: choice["finish_reason"].as_str().map(str::to_owned),
            bill: tokens("prompt_tokens")
                .zip(tokens("completion_tokens"))
                .and_then(|(input, output)| bill(input, output)),
            refusal: Refusal::find(answer),
        }
    }
}

fn bill(input: u64, output: u64) -> Option<Bill> {
    let count = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    (input > 0).then(|| Bill::Tokens {
        input: count(input),
        output: count(output),
    })
}
