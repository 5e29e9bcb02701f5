//! The bridge to models and agents: which models there are, what answers for them, and runs, each of which is one
//! attempt to answer.
//!
//! A run begins with money set aside and a question in a thread, and ends with an answer there and a charge, exactly
//! once, whatever happens to the process or to the caller in between ([`Service`]). Agents may ask back while they
//! answer ([`AgentContextService`]).
//!
//! What was said is the threads service's, money is the sessions service's, files are the attachments service's: they
//! are reached over [`Lanes`].

mod agent_context;
mod backends;
pub mod catalogue;
mod chat;
mod context;
mod embed;
mod error;
mod history;
pub mod provider;
mod run;
mod service;
pub mod settings;
mod store;
mod summary;
mod window;

pub use agent_context::AgentContextService;
pub use backends::Lanes;
pub use service::{OpenError, Service};
pub use settings::{Settings, SettingsError};
