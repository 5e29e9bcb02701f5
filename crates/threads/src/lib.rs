//! Every conversation: a thread with its members and its messages in one ordered log.
//!
//! Knows what was said, by whom and in what order. Who someone is and what a model costs is the business of other
//! services; so is the text of an answer, which its writer sends here piece by piece.

mod answer;
mod decode;
mod encode;
mod error;
mod exchange;
mod outlet;
mod page;
mod people;
mod relay;
mod scribe;
mod service;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod thread;
mod writers;

pub use outlet::Outlet;
pub use relay::Relay;
pub use service::Service;
pub use settings::Settings;
