//! Files: their bytes on disk, what is known of them in the database, who may read them.
//!
//! A file is streamed to a staging place, made durable, moved to its own place and only then written to the database:
//! a row always has its bytes. Bytes without a row, which a crash may leave, are swept after a day. Files are found by
//! id; no text of a client ever becomes part of a path.
//!
//! Nothing here knows what a thread is or who takes part in it, and nothing here looks inside a file beyond telling its
//! type.

mod content_type;
mod download;
mod error;
mod files;
mod link;
mod name;
mod range;
mod service;
mod settings;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod upload;

pub use error::OpenError;
pub use service::Service;
pub use settings::{Settings, SettingsError};
