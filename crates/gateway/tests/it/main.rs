#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

//! The gateway as a running server whose services are all away: what it must say without them.

mod front;
mod http;
mod sockets;
