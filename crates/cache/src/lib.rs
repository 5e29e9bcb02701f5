//! What may be forgotten, or is passed on to somebody else's program: Redis, or memory when no Redis is set.
//!
//! Nothing that must be true lives here; a Redis that is away or empty costs convenience, never a message or money.

mod counter;
mod directory;
mod memory;
mod redis;

pub use counter::Count;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Section `[cache]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `redis://:PASSWORD@HOST:PORT/DB`; empty: memory of this process.
    pub url: SecretString,
    /// How long a command may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Settings {
    /// Whether the cache is shared with other processes.
    #[must_use]
    pub fn is_redis(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }
}

/// Why the cache did not do it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The URL cannot be used.
    #[error("cache.url: {0}")]
    Url(#[from] deadpool_redis::CreatePoolError),
    /// Redis is away, slow or full of connections.
    #[error("Redis: {0}")]
    Connection(#[from] deadpool_redis::PoolError),
    /// Redis refused the command.
    #[error("Redis: {0}")]
    Command(#[from] deadpool_redis::redis::RedisError),
    /// The command took longer than `cache.timeout_ms`.
    #[error("Redis did not answer in time")]
    Late,
}

/// The fields of a stream's entry, in order.
pub type Fields = Vec<(String, String)>;

/// The cache; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Cache(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Memory(memory::Memory),
    Redis(redis::Redis),
}

impl Cache {
    /// Connects when it is first used, so a Redis that is away is no error here.
    pub fn open(settings: &Settings) -> Result<Self, CacheError> {
        if !settings.is_redis() {
            return Ok(Self(Backend::Memory(memory::Memory::default())));
        }
        Ok(Self(Backend::Redis(redis::Redis::open(settings)?)))
    }

    /// Adds an entry to the end of a stream (`XADD`). The stream has no bound in Redis, as its reader deletes what it
    /// has read; memory keeps the last 10,000 entries.
    pub async fn append(&self, stream: &str, fields: Fields) -> Result<(), CacheError> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.append(stream, fields);
                Ok(())
            }
            Backend::Redis(redis) => redis.append(stream, fields).await,
        }
    }

    /// The entries of a stream, oldest first (`XRANGE`), at most `count`.
    pub async fn entries(&self, stream: &str, count: usize) -> Result<Vec<Fields>, CacheError> {
        match &self.0 {
            Backend::Memory(memory) => Ok(memory.entries(stream, count)),
            Backend::Redis(redis) => redis.entries(stream, count).await,
        }
    }
}
