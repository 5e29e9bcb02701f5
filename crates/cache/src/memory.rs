//! The cache of a single process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Fields;

/// Entries that a stream keeps.
const STREAM_LENGTH: usize = 10_000;

/// Streams by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<String, VecDeque<Fields>>>>);

impl Memory {
    pub(crate) fn append(&self, stream: &str, fields: Fields) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = streams.entry(stream.to_owned()).or_default();
        if entries.len() == STREAM_LENGTH {
            entries.pop_front();
        }
        entries.push_back(fields);
    }

    pub(crate) fn entries(&self, stream: &str, count: usize) -> Vec<Fields> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams
            .get(stream)
            .map(|entries| entries.iter().take(count).cloned().collect())
            .unwrap_or_default()
    }
}
