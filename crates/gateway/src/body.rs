//! The body of a request, whole: bounded in bytes, and in time, so that nobody holds a connection with one that never ends.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use tokio::time::timeout;

#[cfg(test)]
mod tests;

/// How long it may take until all of it is there.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why it could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is more of it than may be.
    TooLarge,
    /// It ended too early, or did not come in time.
    CutOff,
}

/// All of it, at most `limit` bytes.
pub(crate) async fn read(payload: Payload, limit: usize) -> Result<Bytes, Unread> {
    match timeout(PATIENCE, payload.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) | Err(_) => Err(Unread::CutOff),
        Ok(Err(_)) => Err(Unread::TooLarge),
    }
}
