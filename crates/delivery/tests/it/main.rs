//! What publishing and subscribing promise, in memory and through RabbitMQ.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod broker;
mod proxy;
mod ways;

use std::fmt::Write;

use confab_delivery::{Delivery, Link, Settings};
use confab_rpc::delivery::Events;
use confab_rpc::threads::Entry;
use confab_runtime::Tasks;
use uuid::Uuid;

/// Names the broker that tests may use: `scripts/test` sets it.
const RABBITMQ: &str = "CONFAB_TEST_RABBITMQ";

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings to be given"
)]
fn rabbitmq() -> String {
    std::env::var(RABBITMQ).unwrap_or_else(|_| {
        panic!("{RABBITMQ} names no broker; scripts/test starts one and sets it")
    })
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.into(),
        exchange: format!("confab.test.{}", Uuid::now_v7()),
        queue_length: 1000,
        prefetch: 16,
        confirm_window: 64,
        confirm_timeout_ms: 10_000,
    }
}

/// A way that is open. What it needs lives as long as the test.
async fn open(settings: &Settings) -> Delivery {
    let delivery = Delivery::open(settings, &Tasks::new()).unwrap();
    up(&delivery).await;
    delivery
}

async fn up(delivery: &Delivery) {
    let mut state = delivery.state();
    state.wait_for(|link| *link == Link::Up).await.unwrap();
}

/// A message with entries of these ids.
fn events(ids: impl IntoIterator<Item = i64>) -> Events {
    let entry = |id| Entry {
        id,
        ..Entry::default()
    };
    Events {
        entries: ids.into_iter().map(entry).collect(),
    }
}

fn ids(events: &Events) -> Vec<i64> {
    events.entries.iter().map(|entry| entry.id).collect()
}

/// A URL with the port of something in between.
fn through(url: &str, port: u16) -> String {
    let (before, after) = url.rsplit_once('@').unwrap();
    let (_, path) = after.split_once('/').unwrap();
    let mut changed = before.to_owned();
    write!(changed, "@127.0.0.1:{port}/{path}").unwrap();
    changed
}
