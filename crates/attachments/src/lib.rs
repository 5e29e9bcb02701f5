//! Files: their bytes in a directory or a bucket, what is known of them in the database, who may read them.
//!
//! A file is streamed to its place, is durable and whole there, and only then written to the database: a row always has
//! its bytes. Bytes without a row, which a crash may leave, are swept after a day; so are files without a thread that no
//! message carries. Files are found by id; no text of a client ever becomes part of a path.
//!
//! Nothing here knows what a thread is or who takes part in it, and nothing here looks inside a file beyond telling its
//! type.

mod blobs;
mod content_type;
mod download;
mod error;
mod link;
mod name;
mod pace;
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
pub use settings::{Place, S3, Settings, SettingsError};
