//! Vectors as OpenAI's servers write them: floats, or their bytes in base64.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [String],
    /// A third of the bytes of floats; a server that does not know it sends floats.
    pub(super) encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dimensions: Option<u32>,
}

/// The answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    data: Vec<Vector>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    index: Option<usize>,
    embedding: Written,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Base64(String),
    Floats(Vec<f32>),
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
}

impl Answer {
    /// One vector for each of so many texts, in their order. `None`: it is no answer to them.
    pub(super) fn vectors(self, texts: usize) -> Option<Vec<Vec<f32>>> {
        if self.data.len() != texts {
            return None;
        }
        let mut vectors = vec![Vec::new(); texts];
        for (place, vector) in self.data.into_iter().enumerate() {
            let values = vector.embedding.read()?;
            let slot = vectors.get_mut(vector.index.unwrap_or(place))?;
            if values.is_empty() || !slot.is_empty() {
                return None;
            }
            *slot = values;
        }
        Some(vectors)
    }

    /// Tokens read; a text without tokens does not exist: then the server has not counted.
    pub(super) fn tokens(&self) -> Option<u32> {
        let tokens = self.usage.as_ref()?.prompt_tokens?;
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        Some(tokens).filter(|tokens| *tokens > 0)
    }
}

impl Written {
    fn read(self) -> Option<Vec<f32>> {
        let values = match self {
            Self::Floats(values) => values,
            Self::Base64(text) => {
                let bytes = BASE64_STANDARD.decode(text).ok()?;
                let (values, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return None;
                }
                values
                    .iter()
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect()
            }
        };
        values
            .iter()
            .all(|value| value.is_finite())
            .then_some(values)
    }
}
