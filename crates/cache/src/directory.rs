//! The directory: which gateways hold sockets of which users.
//!
//! It saves broker messages and nothing depends on it being right: a user it does not know may be anywhere, and whoever
//! a message did not reach reads the log. A gateway that died disappears when its beats stop.

use std::time::Duration;

use uuid::Uuid;

use crate::{Backend, Cache, CacheError};

impl Cache {
    /// The gateway is alive, and counts as such for `ttl` from now on.
    pub async fn beat(&self, gateway: &str, ttl: Duration) -> Result<(), CacheError> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.beat(gateway, ttl);
                Ok(())
            }
            Backend::Redis(redis) => redis.beat(gateway, ttl).await,
        }
    }

    /// The gateways that are alive, in no order.
    pub async fn gateways(&self) -> Result<Vec<String>, CacheError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.gateways()),
            Backend::Redis(redis) => redis.gateways().await,
        }
    }

    /// The gateway holds sockets of these users. It says so again before `ttl` is over.
    pub async fn seen(
        &self,
        gateway: &str,
        users: &[Uuid],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.seen(gateway, users, ttl);
                Ok(())
            }
            Backend::Redis(redis) => redis.seen(gateway, users, ttl).await,
        }
    }

    /// The gateway holds no socket of these users any more.
    pub async fn gone(&self, gateway: &str, users: &[Uuid]) -> Result<(), CacheError> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.gone(gateway, users);
                Ok(())
            }
            Backend::Redis(redis) => redis.gone(gateway, users).await,
        }
    }

    /// For each user the gateways, alive, that hold sockets of that user; none for a user who is not known. One round
    /// trip for all of them.
    pub async fn gateways_of(&self, users: &[Uuid]) -> Result<Vec<Vec<String>>, CacheError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.gateways_of(users)),
            Backend::Redis(redis) => redis.gateways_of(users).await,
        }
    }
}
