//! What passes through to a provider as OpenAI's chat completions have it, and back.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::fields::{Fields, raw};
use super::{Bill, Cause, Failure, Prompt, ProviderError, Role, Turn};
use crate::catalogue::Model;

/// A request that passes through: only what decides who answers and what it may cost is exchanged.
#[derive(Debug, Clone)]
pub struct Chat {
    /// The model that was asked for.
    pub model: Model,
    /// The asking user.
    pub user_id: Uuid,
    /// The JSON as the caller sent it: an object.
    pub body: Bytes,
    /// Whether the answer comes in events.
    pub stream: bool,
    /// How many answers are asked for, 1 or more.
    pub choices: u32,
    /// How long each may be, in tokens, as far as the caller says.
    pub asked_output: Option<u32>,
    /// How many tokens a model reads here, roughly.
    pub estimated_input: u32,
    /// What this call may cost, in micro-dollars.
    pub budget_microdollars: i64,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
}

/// A part of an answer that passes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The JSON of one event, or of the whole answer: no error. The first is known to be an object.
    Data(String),
    /// The end; nothing follows. The bill is unknown when the events say what they took.
    End(Bill),
}

/// An answer as it passes through. Dropping it stops the upstream call. A stream that ends without [`Said::End`] was cut.
pub type Relay = BoxStream<'static, Result<Said, ProviderError>>;

/// Texts to make vectors of.
#[derive(Debug, Clone)]
pub struct Texts {
    /// None is empty.
    pub inputs: Vec<String>,
    /// Of the vectors; 0: the model's own.
    pub dimensions: u32,
}

/// Vectors, in the order of their texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One for each text.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read, if the provider says.
    pub tokens: Option<u32>,
}

impl Chat {
    /// The longest answer, in tokens, that the caller, the model and the money allow; 0: none.
    #[must_use]
    pub fn most_output(&self, model: &Model) -> u32 {
        model
            .affordable_each(self.budget_microdollars, self.estimated_input, self.choices)
            .min(self.asked_output.unwrap_or(u32::MAX))
    }

    /// The body for a model: with its name, a limit that the reservation pays for, and the usage asked for.
    pub(super) fn body_for(&self, model: &Model) -> Result<Vec<u8>, Failure> {
        let mut fields = self.fields()?;
        fields.set("model", raw(&model.name));
        let newer = fields.get("max_completion_tokens").is_some();
        // A server knows the one or the other: what the caller uses it knows.
        if newer {
            fields.set("max_completion_tokens", raw(&self.most_output(model)));
        }
        if !newer || fields.get("max_tokens").is_some() {
            fields.set("max_tokens", raw(&self.most_output(model)));
        }
        if self.stream {
            let options: Option<Map<String, Value>> = fields.read("stream_options");
            let mut options = options.unwrap_or_default();
            options.insert("include_usage".to_owned(), true.into());
            fields.set("stream_options", raw(&options));
        }
        Ok(fields.write())
    }

    /// The same as a prompt of text alone, for what knows nothing else: the last user's message is the question.
    pub(super) fn prompt(&self, model: &Model) -> Result<Prompt, Failure> {
        let messages: Vec<Message> = self
            .fields()?
            .read("messages")
            .ok_or_else(|| Failure::refused("`messages` is not a list of messages"))?;
        let mut prompt = Prompt {
            model: model.clone(),
            user_id: self.user_id,
            thread_id: Uuid::nil(),
            instructions: String::new(),
            summary: String::new(),
            history: Vec::with_capacity(messages.len()),
            left_out: 0,
            question: String::new(),
            asked_at: self.asked_at,
            files: Vec::new(),
            max_output_tokens: self.most_output(model),
            budget_microdollars: self.budget_microdollars,
            ask_back: None,
            parameters: Map::new(),
        };
        for message in messages {
            let content = message.text()?;
            let role = match message.role.as_str() {
                "system" | "developer" if prompt.history.is_empty() => {
                    if !prompt.instructions.is_empty() {
                        prompt.instructions.push_str("\n\n");
                    }
                    prompt.instructions.push_str(&content);
                    continue;
                }
                "system" | "developer" => Role::System,
                "assistant" => Role::Assistant,
                "user" | "tool" | "function" => Role::User,
                _ => return Err(Failure::refused("a message has an unknown role")),
            };
            prompt.history.push(Turn { role, content });
        }
        match prompt.history.pop() {
            Some(Turn {
                role: Role::User,
                content,
            }) => prompt.question = content,
            _ => return Err(Failure::refused("the last message is not the user's")),
        }
        Ok(prompt)
    }

    /// Whether tools are offered to the model.
    pub(super) fn has_tools(&self) -> Result<bool, Failure> {
        let fields = self.fields()?;
        let tools = fields.get("tools");
        Ok(tools.is_some_and(|tools| !matches!(tools, "null" | "[]")))
    }

    fn fields(&self) -> Result<Fields<'_>, Failure> {
        Fields::parse(&self.body).ok_or_else(|| Failure {
            error: ProviderError::Failed("the request is no JSON object".to_owned()),
            cause: Cause::Request,
        })
    }
}

/// A message, as far as it is text.
#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

impl Message {
    fn text(&self) -> Result<String, Failure> {
        let parts = match &self.content {
            None => return Ok(String::new()),
            Some(Content::Text(text)) => return Ok(text.clone()),
            Some(Content::Parts(parts)) => parts.iter(),
        };
        let texts: Option<Vec<_>> = parts.map(|part| part.text.as_deref()).collect();
        let texts = texts.ok_or_else(|| Failure::refused("this model reads text only"))?;
        Ok(texts.join("\n"))
    }
}
