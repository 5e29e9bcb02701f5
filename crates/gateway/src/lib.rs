//! The public face of Confab: HTTP and WebSocket for every family of front ends.
//!
//! A room per wire language translates requests into calls to the services and back; nothing is decided and nothing is
//! stored here. What rooms share is what no language has an opinion on: sockets, callers, origins, health.

mod backends;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod body;
mod caller;
mod dialects;
mod docs;
mod files;
mod health;
mod limits;
mod live;
mod origin;
mod revocation;
mod server;
pub mod settings;
mod socket;
#[cfg(test)]
mod tests;

pub use backends::Backends;
pub use server::{GatewayError, serve};
pub use settings::{AuthMode, InvalidSettings, Mirror, Settings};

use server::Gateway;
