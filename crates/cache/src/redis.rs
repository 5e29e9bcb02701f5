//! The cache that several processes share.

use std::future::Future;
use std::time::Duration;

use deadpool_redis::redis::streams::StreamRangeReply;
use deadpool_redis::redis::{AsyncCommands, RedisResult, Value, from_redis_value};
use deadpool_redis::{Config, Connection, Pool, Runtime};
use secrecy::ExposeSecret;

use crate::{CacheError, Fields, Settings};

#[derive(Clone)]
pub(crate) struct Redis {
    pool: Pool,
    timeout: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    pub(crate) fn open(settings: &Settings) -> Result<Self, CacheError> {
        let config = Config::from_url(settings.url.expose_secret());
        Ok(Self {
            pool: config.create_pool(Some(Runtime::Tokio1))?,
            timeout: Duration::from_millis(settings.timeout_ms),
        })
    }

    async fn bounded<T>(
        &self,
        command: impl AsyncFnOnce(Connection) -> RedisResult<T>,
    ) -> Result<T, CacheError> {
        let run = async { Ok(command(self.pool.get().await?).await?) };
        timeout(self.timeout, run).await
    }

    pub(crate) async fn append(&self, stream: &str, fields: Fields) -> Result<(), CacheError> {
        self.bounded(async |mut connection| {
            let _id: String = connection.xadd(stream, "*", &fields).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn entries(
        &self,
        stream: &str,
        count: usize,
    ) -> Result<Vec<Fields>, CacheError> {
        self.bounded(async |mut connection| {
            let reply: StreamRangeReply = connection.xrange_count(stream, "-", "+", count).await?;
            let entries = reply.ids.into_iter().map(|entry| {
                let text = |(key, value): (String, Value)| Ok((key, from_redis_value(value)?));
                entry.map.into_iter().map(text).collect::<RedisResult<_>>()
            });
            entries.collect()
        })
        .await
    }
}

async fn timeout<T>(
    limit: Duration,
    run: impl Future<Output = Result<T, CacheError>>,
) -> Result<T, CacheError> {
    tokio::time::timeout(limit, run)
        .await
        .unwrap_or(Err(CacheError::Late))
}
