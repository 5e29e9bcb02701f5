//! What the cache promises, in memory and on Redis.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod counter;
mod directory;

use confab_cache::{Cache, Settings};

/// Names the Redis that tests may use: `scripts/test` sets it.
const REDIS: &str = "CONFAB_TEST_REDIS";

fn open(url: &str) -> Cache {
    let settings = Settings {
        url: url.into(),
        timeout_ms: 10_000,
    };
    Cache::open(&settings).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings to be given"
)]
fn both() -> [Cache; 2] {
    let redis = std::env::var(REDIS)
        .unwrap_or_else(|_| panic!("{REDIS} names no Redis; scripts/test starts one and sets it"));
    [open(""), open(&redis)]
}
