//! Bodies as they are on the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use confab_rpc::completions::{EmbedResponse, Model as Listed, Usage as Counted};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    #[schema(value_type = String)]
    object: &'static str,
    data: Vec<Model>,
}

impl Models {
    pub(super) fn of(data: Vec<Model>) -> Self {
        Self {
            object: "list",
            data,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    id: String,
    #[schema(value_type = String)]
    object: &'static str,
    /// Not known: 0.
    created: i64,
    /// The configured provider that answers.
    owned_by: String,
}

impl From<Listed> for Model {
    fn from(model: Listed) -> Self {
        Self {
            id: model.name,
            object: "model",
            created: 0,
            owned_by: model.provider,
        }
    }
}

/// What the room itself reads of a chat completion that it passes on. Everything else is the provider's.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct ChatBody {
    pub(super) model: Option<String>,
    /// OpenAI's messages: the provider's to read.
    #[serde(default, rename = "messages")]
    #[schema(value_type = Vec<Object>)]
    _messages: IgnoredAny,
    pub(super) stream: Option<bool>,
    pub(super) metadata: Option<Metadata>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct Metadata {
    /// The stored conversation that is meant, by UUID or number.
    #[schema(value_type = Option<String>)]
    pub(super) conversation_id: Option<ConversationId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum ConversationId {
    Number(i64),
    Text(String),
}

/// A chat completion of a stored conversation, of which everything is read.
#[derive(Debug, Deserialize)]
pub(super) struct TurnBody {
    pub(super) model: Option<String>,
    pub(super) messages: Option<Vec<Message>>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) n: Option<u32>,
    /// Read before, or without a meaning here.
    #[serde(default, rename = "metadata")]
    _metadata: IgnoredAny,
    #[serde(default, rename = "store")]
    _store: IgnoredAny,
    /// What the model is to be told besides.
    #[serde(flatten)]
    pub(super) parameters: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) content: Option<Content>,
    pub(super) tool_calls: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
}

/// A whole answer, as it is documented: what a provider says comes as it is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Completion<'a> {
    pub(super) id: &'a str,
    #[schema(value_type = String)]
    pub(super) object: &'static str,
    pub(super) created: i64,
    pub(super) model: &'a str,
    pub(super) choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Choice<'a> {
    pub(super) index: u32,
    /// Of a whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Said<'a>>,
    /// Of an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<Said<'a>>,
    #[schema(value_type = Option<Object>)]
    pub(super) logprobs: Option<()>,
    pub(super) finish_reason: Option<&'a str>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) role: Option<&'static str>,
    /// Absent from the first and the last event; `null` where a tool is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "OpenAI's names")]
pub(super) struct Usage {
    prompt_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens: Option<u32>,
    total_tokens: u64,
}

impl From<Counted> for Usage {
    fn from(usage: Counted) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: Some(usage.output_tokens),
            total_tokens: u64::from(usage.input_tokens) + u64::from(usage.output_tokens),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct EmbeddingsBody {
    pub(super) model: Option<String>,
    #[schema(value_type = Texts)]
    pub(super) input: Input,
    pub(super) encoding_format: Option<Format>,
    pub(super) dimensions: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Input {
    Text(String),
    Texts(Vec<String>),
    Other(IgnoredAny),
}

/// A text, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used; `Input` is what is read")]
enum Texts {
    One(String),
    Several(Vec<String>),
}

/// How a vector is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Float,
    Base64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Embeddings {
    #[schema(value_type = String)]
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: Usage,
}

#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "OpenAI's names")]
struct Embedding {
    #[schema(value_type = String)]
    object: &'static str,
    index: usize,
    embedding: Vector,
}

/// Numbers, or the bytes of 32-bit floats, the lowest first, in Base64.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

impl Embeddings {
    pub(super) fn of(answer: EmbedResponse, format: Format) -> Self {
        let input = answer.usage.unwrap_or_default().input_tokens;
        let vectors = answer.embeddings.into_iter().enumerate();
        let data = vectors.map(|(index, embedding)| Embedding {
            object: "embedding",
            index,
            embedding: match format {
                Format::Float => Vector::Numbers(embedding.values),
                Format::Base64 => Vector::Base64(base64(&embedding.values)),
            },
        });
        Self {
            object: "list",
            data: data.collect(),
            model: answer.model,
            usage: Usage {
                prompt_tokens: input,
                completion_tokens: None,
                total_tokens: input.into(),
            },
        }
    }
}

fn base64(values: &[f32]) -> String {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}
