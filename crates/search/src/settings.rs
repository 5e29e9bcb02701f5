//! Section `[search]`: what may be set.

use std::time::Duration;

use serde::Deserialize;

/// The model that is always searched with: built into completions, costs nothing, finds shared words.
pub const BUILT_IN: &str = "confab-hash-384";

/// What the search service can be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the index is kept.
    pub database: confab_database::Settings,
    /// Name of the model whose vectors say what is near; with another one than [`BUILT_IN`] both are used.
    pub embedding_model: String,
    /// Messages that one search adds to the index of a model before it answers with what it has.
    pub messages_per_call: usize,
    /// After so many seconds a search adds no more to the index and answers with what it has.
    pub indexing_seconds: u64,
    /// How long the vectors of one batch of texts may take.
    pub embedding_seconds: u64,
    /// What is less similar than this is not found, 0 to 1.
    pub minimum_similarity: f32,
}

/// What is wrong with this section.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The database's part.
    #[error(transparent)]
    Database(#[from] confab_database::SettingsError),
    /// No name, or one that no column holds.
    #[error("embedding_model must be the name of a model, at most 255 bytes")]
    EmbeddingModel,
    /// Nothing would ever be indexed.
    #[error("messages_per_call, indexing_seconds and embedding_seconds must be at least 1")]
    Nothing,
    /// Out of range.
    #[error("minimum_similarity must be 0 to 1")]
    MinimumSimilarity,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()?;
        if self.embedding_model.trim().is_empty() || self.embedding_model.len() > 255 {
            return Err(SettingsError::EmbeddingModel);
        }
        if self.messages_per_call == 0 || self.indexing_seconds == 0 || self.embedding_seconds == 0
        {
            return Err(SettingsError::Nothing);
        }
        if !(0.0..=1.0).contains(&self.minimum_similarity) {
            return Err(SettingsError::MinimumSimilarity);
        }
        Ok(())
    }

    /// How long a search may take besides what every call may: its own vector, the index, and the batch that was begun
    /// last.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.indexing_seconds + 4 * self.embedding_seconds)
    }

    /// The models in use, the one that `similarity` is of last.
    pub(crate) fn models(&self) -> Vec<&str> {
        let own = self.embedding_model.as_str();
        match own {
            BUILT_IN => vec![BUILT_IN],
            _ => vec![BUILT_IN, own],
        }
    }
}
