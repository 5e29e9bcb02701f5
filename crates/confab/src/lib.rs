//! The composition root: which roles run in this process, how they reach each other, and the command line.
//!
//! No rule of the domain lives here, and nothing else knows whether a service is in this process or in another pod.

mod aliases;
pub mod cli;
mod keys;
mod money;
mod redaction;
pub mod roles;
pub mod serve;
pub mod settings;
mod users;
mod welcome;
mod wiring;

pub use roles::{Role, Roles};
pub use serve::Running;
pub use settings::Settings;
pub use wiring::migrate_all as migrate;
