//! The cache that several processes share.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use deadpool_redis::redis::streams::StreamRangeReply;
use deadpool_redis::redis::{
    AsyncCommands, Pipeline, RedisResult, Value, cmd, from_redis_value, pipe,
};
use deadpool_redis::{Config, Connection, Pool, Runtime};
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::{CacheError, Count, Fields, Settings};

/// Gateways by the time of Redis' own clock, in milliseconds, until which they count as alive.
const GATEWAYS: &str = "confab:gateways";
/// Users that one pipeline writes about: more would hold others up for too long.
const USERS: usize = 1000;

/// What `TIME` says: seconds and microseconds.
type Time = (u64, u64);

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

    pub(crate) async fn beat(&self, gateway: &str, ttl: Duration) -> Result<(), CacheError> {
        self.bounded(async |mut connection| {
            // One clock for all: the machines of two gateways need not agree on the time.
            let time: Time = cmd("TIME").query_async(&mut connection).await?;
            let now = milliseconds(time);
            let end = now.saturating_add(whole_milliseconds(ttl));
            pipe()
                .zadd(GATEWAYS, gateway, end)
                .ignore()
                .zrembyscore(GATEWAYS, 0, now)
                .ignore()
                .exec_async(&mut connection)
                .await
        })
        .await
    }

    pub(crate) async fn gateways(&self) -> Result<Vec<String>, CacheError> {
        let (alive, _) = self.look(&[]).await?;
        Ok(alive.into_iter().collect())
    }

    pub(crate) async fn seen(
        &self,
        gateway: &str,
        users: &[Uuid],
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let ttl = i64::try_from(whole_milliseconds(ttl)).unwrap_or(i64::MAX);
        self.each(users, |pipeline, key| {
            pipeline.sadd(&key, gateway).ignore();
            pipeline.pexpire(&key, ttl).ignore();
        })
        .await
    }

    pub(crate) async fn gone(&self, gateway: &str, users: &[Uuid]) -> Result<(), CacheError> {
        self.each(users, |pipeline, key| {
            pipeline.srem(&key, gateway).ignore();
        })
        .await
    }

    pub(crate) async fn gateways_of(&self, users: &[Uuid]) -> Result<Vec<Vec<String>>, CacheError> {
        let (alive, mut found) = self.look(users).await?;
        for gateways in &mut found {
            gateways.retain(|gateway| alive.contains(gateway));
        }
        Ok(found)
    }

    pub(crate) async fn count(
        &self,
        counter: &str,
        amount: u64,
        window: Duration,
    ) -> Result<Count, CacheError> {
        let key = format!("confab:count:{counter}");
        self.bounded(async |mut connection| {
            // `SET NX` begins it together with its end, so no counter is left without one.
            let (total, left): (u64, i64) = pipe()
                .atomic()
                .cmd("SET")
                .arg(&key)
                .arg(0)
                .arg("NX")
                .arg("PX")
                .arg(whole_milliseconds(window).max(1))
                .ignore()
                .incr(&key, amount)
                .pttl(&key)
                .query_async(&mut connection)
                .await?;
            let ends_in = Duration::from_millis(u64::try_from(left).unwrap_or(0));
            Ok(Count { total, ends_in })
        })
        .await
    }

    /// The gateways that are alive, and those that each user was seen on, dead or alive, in one round trip.
    async fn look(
        &self,
        users: &[Uuid],
    ) -> Result<(HashSet<String>, Vec<Vec<String>>), CacheError> {
        let mut pipeline = pipe();
        pipeline.cmd("TIME").zrange_withscores(GATEWAYS, 0, -1);
        for user in users {
            pipeline.smembers(key(*user));
        }
        self.bounded(async |mut connection| {
            let values: Vec<Value> = pipeline.query_async(&mut connection).await?;
            let mut values = values.into_iter();
            let mut next = || values.next().unwrap_or(Value::Nil);
            let time: Time = from_redis_value(next())?;
            let ends: Vec<(String, u64)> = from_redis_value(next())?;
            let now = milliseconds(time);
            let alive = ends.into_iter().filter(|(_, end)| *end > now);
            let alive = alive.map(|(gateway, _)| gateway).collect();
            let found: RedisResult<_> = users
                .iter()
                .map(|_| Ok(from_redis_value(next())?))
                .collect();
            Ok((alive, found?))
        })
        .await
    }

    async fn each(
        &self,
        users: &[Uuid],
        command: impl Fn(&mut Pipeline, String),
    ) -> Result<(), CacheError> {
        for users in users.chunks(USERS) {
            let mut pipeline = pipe();
            for user in users {
                command(&mut pipeline, key(*user));
            }
            self.bounded(async |mut connection| pipeline.exec_async(&mut connection).await)
                .await?;
        }
        Ok(())
    }
}

/// The set of gateways that hold sockets of a user.
fn key(user: Uuid) -> String {
    format!("confab:user:{user}")
}

fn milliseconds((seconds, microseconds): Time) -> u64 {
    seconds
        .saturating_mul(1000)
        .saturating_add(microseconds / 1000)
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn timeout<T>(
    limit: Duration,
    run: impl Future<Output = Result<T, CacheError>>,
) -> Result<T, CacheError> {
    tokio::time::timeout(limit, run)
        .await
        .unwrap_or(Err(CacheError::Late))
}
