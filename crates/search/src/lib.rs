//! Semantic search: which messages of a user's threads with a model are nearest to a query.
//!
//! The index is made when somebody searches, never before: vectors may cost money, and most threads are never searched.
//! It holds vectors and no text, and nobody's right to read anything: which threads are the user's, and whether what was
//! found is still there, is asked of the threads service in every search. The whole of it can be removed at any time.
//!
//! What cannot be found: answers that are still being written, what a message says after its first 112 KiB, and threads
//! beyond the 10,000 that were active last. An answer ends at 2 MiB of text, with at least one message.

mod backends;
mod backlog;
mod chunk;
mod error;
mod find;
mod index;
mod query;
mod ranking;
mod reading;
mod scope;
mod service;
mod settings;
mod store;
mod sweep;
mod turns;
mod vector;

pub use backends::Lanes;
pub use service::Service;
pub use settings::{BUILT_IN, Settings, SettingsError};
