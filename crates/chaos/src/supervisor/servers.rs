//! The servers that a suite shares between its scenarios.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use confab_testkit::RabbitMq;

use super::{Postgres, Redis, postgres};
use crate::topology::End;

/// A PostgreSQL, a Redis and a RabbitMQ. A scenario may do anything to them, and says whether they can be used again.
pub struct Servers {
    /// The database.
    pub postgres: Postgres,
    /// The cache.
    pub redis: Redis,
    /// The broker.
    pub rabbitmq: RabbitMq,
    databases: AtomicUsize,
}

impl Servers {
    /// Starts them; the broker takes some ten seconds.
    ///
    /// # Panics
    /// When one of them is not installed or does not start.
    pub async fn start() -> Self {
        let (rabbitmq, postgres, redis) =
            tokio::join!(RabbitMq::start(), Postgres::start(), Redis::start());
        Self {
            postgres,
            redis,
            rabbitmq,
            databases: AtomicUsize::new(0),
        }
    }

    /// Makes an empty database and gives its name.
    pub async fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("chaos_{number}");
        self.postgres.create(&name).await;
        name
    }

    /// The name of the last database that was made.
    #[must_use]
    pub fn last_database(&self) -> String {
        let made = self.databases.load(Ordering::Relaxed);
        format!("chaos_{}", made.saturating_sub(1))
    }

    /// Removes the last database: after a crash a server reads and syncs everything that it has.
    pub async fn forget_last(&self) {
        let name = self.last_database();
        let removed = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        // One that cannot be removed is only in the way of how fast the next scenario is.
        let _ = self.postgres.try_query("postgres", &removed).await;
    }

    /// Which releases they are of.
    pub async fn versions(&self) -> BTreeMap<String, String> {
        let postgres = self.postgres.query("postgres", "SHOW server_version").await;
        let redis = self.redis.command(&["INFO", "server"]).await;
        let redis = redis
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        let versions = [
            ("PostgreSQL", postgres.as_str()),
            ("Redis", redis.unwrap_or_default().trim()),
        ];
        let named = versions.map(|(name, version)| (name.to_owned(), version.to_owned()));
        named.into()
    }

    /// Where each of them is.
    #[must_use]
    pub fn ends(&self) -> [(End, SocketAddr); 3] {
        [
            (End::Postgres, self.postgres.address()),
            (End::Redis, self.redis.address()),
            (End::RabbitMq, self.rabbitmq.address()),
        ]
    }

    /// The URL of a database at an address, which may be that of a wire.
    #[must_use]
    pub fn postgres_url(&self, address: SocketAddr, database: &str) -> String {
        postgres::url(address, database)
    }
}
