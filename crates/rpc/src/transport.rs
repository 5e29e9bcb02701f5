//! How HTTP/2 is set up where services call each other, agents and providers.
//!
//! One connection carries the calls of many people, and what one of them does must neither stop nor end the others'. By
//! default it does: three readers that stand still take the window that all calls of a connection share, and h2 ends a
//! connection, with every call on it, when 1024 frames have come for calls that were given up, when 20 calls are given up
//! before their server looked at them, or when enough small messages wait for their readers. Those limits are for
//! strangers. Here both ends are Confab's or chosen by who runs it, and each call has a limit of its own.

use tonic::transport::{Endpoint, Error, Server};

#[cfg(test)]
mod tests;

/// What a call may have sent that its reader has not taken, in bytes. It bounds what a reader that stands still costs.
pub const CALL_WINDOW: u32 = 256 * 1024;

/// What all calls of a connection may have so, in bytes: the largest number there is (RFC 9113, 6.9.1), so that no call
/// takes it from another. h2 takes half of it for what small frames may cost that wait for their readers, at 256 bytes each.
pub const CONNECTION_WINDOW: u32 = i32::MAX.cast_unsigned();

/// How many calls may be given up before their server has looked at them.
const GIVEN_UP: usize = 10_000;

/// Where a service is, to be connected to; an error when the URL is none.
pub fn endpoint(url: impl Into<bytes::Bytes>) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(url)?
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // A call that was given up is forgotten: h2 keeps the charge for frames of one that it remembers.
        .http2_max_concurrent_reset_streams(0)
        .http2_max_local_error_reset_streams(None);
    Ok(endpoint)
}

/// A server for such connections, without routes.
#[must_use]
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_pending_accept_reset_streams(Some(GIVEN_UP))
        .http2_max_local_error_reset_streams(None)
}
