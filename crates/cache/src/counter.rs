//! Counters that begin anew: how often something happened in a stretch of time.

use std::time::Duration;

use crate::{Backend, Cache, CacheError};

/// Where a counter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// All that was added since it began, this time included.
    pub total: u64,
    /// When it begins anew.
    pub ends_in: Duration,
}

impl Cache {
    /// Adds to a counter and says where it stands then. The first call begins it, and it ends `window` after that,
    /// whatever is added meanwhile; adding 0 asks. Calls at once are counted one after another, by all processes that
    /// share a Redis.
    pub async fn count(
        &self,
        counter: &str,
        amount: u64,
        window: Duration,
    ) -> Result<Count, CacheError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.count(counter, amount, window)),
            // A Redis command is a large future, and this one is awaited deep within requests.
            Backend::Redis(redis) => Box::pin(redis.count(counter, amount, window)).await,
        }
    }
}
