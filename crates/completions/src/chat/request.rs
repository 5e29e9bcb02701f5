//! A request of OpenAI's chat completions, as far as it decides what it may cost.

use chrono::{DateTime, Utc};
use confab_rpc::completions::ChatRequest;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::catalogue::{Catalogue, MESSAGE_TOKENS, Model, PROMPT_TOKENS};
use crate::error::Error;
use crate::provider::Chat;
use crate::provider::fields::Fields;

const BODY_BYTES: usize = 16 * 1024 * 1024;
/// Answers to one request.
const MOST_CHOICES: u32 = 8;
/// What a part that is no text (an image, a sound) is thought to have, in tokens.
const PART_TOKENS: u32 = 1_000;

/// A request that may be put to a model.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) user_id: Uuid,
    pub(super) api_key_id: Option<Uuid>,
    pub(super) model: Model,
    pub(super) body: Vec<u8>,
    pub(super) stream: bool,
    /// The caller wants the event that says what it took.
    pub(super) wants_usage: bool,
    pub(super) choices: u32,
    pub(super) limit: Option<u32>,
    pub(super) estimated_input: u32,
    /// No model reads more of it than this, nor more than its context.
    pub(super) most_input: u32,
}

/// What decides the price, as it is written.
struct Written<'a> {
    messages: Vec<Message<'a>>,
    tools: Option<&'a str>,
    n: Option<u32>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// What a model reads.
#[derive(Debug, Default)]
struct Measure {
    text_bytes: usize,
    messages: u32,
    other_parts: u32,
}

impl Asked {
    pub(super) fn read(request: ChatRequest, catalogue: &Catalogue) -> Result<Self, Error> {
        if request.body.len() > BODY_BYTES {
            return Err(Error::Invalid("the body must be at most 16 MiB"));
        }
        let written = read(&request.body)?;
        let choices = written.n.unwrap_or(1);
        if choices == 0 || choices > MOST_CHOICES {
            return Err(Error::Invalid("n must be 1 to 8"));
        }
        let limits = [written.max_tokens, written.max_completion_tokens];
        if limits.contains(&Some(0)) {
            return Err(Error::Invalid("max_tokens must be at least 1"));
        }
        let measure = measure(&written);
        let wants_usage = written
            .stream_options
            .and_then(|options| options.include_usage);
        Ok(Self {
            user_id: request.user_id.parse().map_err(|_| Error::UserNotFound)?,
            api_key_id: api_key(&request.api_key_id)?,
            model: chat_model(catalogue, &request.model_name)?.clone(),
            stream: request.stream,
            wants_usage: wants_usage.unwrap_or(false),
            choices,
            limit: limits.into_iter().flatten().min(),
            estimated_input: measure.estimate(),
            most_input: measure.most(),
            body: request.body,
        })
    }
}

impl Asked {
    /// What providers are handed, with the body, which is not needed here any more.
    pub(super) fn chat(&mut self, budget_microdollars: i64, asked_at: DateTime<Utc>) -> Chat {
        Chat {
            model: self.model.clone(),
            user_id: self.user_id,
            body: std::mem::take(&mut self.body).into(),
            stream: self.stream,
            choices: self.choices,
            asked_output: self.limit,
            estimated_input: self.estimated_input,
            budget_microdollars,
            asked_at,
        }
    }
}

pub(crate) fn api_key(id: &str) -> Result<Option<Uuid>, Error> {
    if id.is_empty() {
        return Ok(None);
    }
    let id = id.parse();
    id.map(Some)
        .map_err(|_| Error::Invalid("api_key_id is no UUID"))
}

/// A model that makes vectors answers nothing: as if there were none of that name.
fn chat_model<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a Model, Error> {
    let found = catalogue.by_name(name).filter(|model| !model.embeds);
    found.ok_or(Error::ModelNotFound)
}

fn read(body: &[u8]) -> Result<Written<'_>, Error> {
    // Of a field that comes twice the last one counts, as it does for most readers of JSON.
    let fields = Fields::parse(body).ok_or(Error::Invalid("the body is no JSON object"))?;
    let number = |name| match fields.get(name) {
        None | Some("null") => Ok(None),
        Some(text) => text.parse::<u32>().map(Some).map_err(|_| {
            Error::Invalid("n, max_tokens and max_completion_tokens are whole numbers")
        }),
    };
    let messages: Vec<Message<'_>> = fields
        .written("messages")
        .and_then(|messages| serde_json::from_str(messages).ok())
        .ok_or(Error::Invalid("`messages` is not a list of messages"))?;
    if messages.is_empty() {
        return Err(Error::Invalid("`messages` is empty"));
    }
    Ok(Written {
        messages,
        tools: fields.written("tools"),
        n: number("n")?,
        max_tokens: number("max_tokens")?,
        max_completion_tokens: number("max_completion_tokens")?,
        stream_options: fields.read("stream_options"),
    })
}

fn measure(written: &Written<'_>) -> Measure {
    let mut measure = Measure::default();
    measure.text_bytes += written.tools.map_or(0, str::len);
    for message in &written.messages {
        measure.messages += 1;
        measure.text_bytes += message.tool_calls.map_or(0, |calls| calls.get().len());
        let content = message.content.map_or("", RawValue::get);
        match serde_json::from_str::<Vec<Part<'_>>>(content) {
            Ok(parts) => {
                for part in parts {
                    match part.text {
                        Some(text) => measure.text_bytes += text.get().len(),
                        None => measure.other_parts += 1,
                    }
                }
            }
            Err(_) => measure.text_bytes += content.len(),
        }
    }
    measure
}

impl Measure {
    fn fixed(&self) -> u32 {
        self.messages
            .saturating_mul(MESSAGE_TOKENS)
            .saturating_add(PROMPT_TOKENS)
    }

    /// Three bytes to a token, as in [`crate::catalogue::estimate_tokens`].
    fn estimate(&self) -> u32 {
        u32::try_from(self.text_bytes.div_ceil(3))
            .unwrap_or(u32::MAX)
            .saturating_add(self.other_parts.saturating_mul(PART_TOKENS))
            .saturating_add(self.fixed())
    }

    /// What an image has is the model's affair.
    fn most(&self) -> u32 {
        if self.other_parts > 0 {
            return u32::MAX;
        }
        let text = u32::try_from(self.text_bytes).unwrap_or(u32::MAX);
        text.saturating_add(self.fixed())
    }
}
