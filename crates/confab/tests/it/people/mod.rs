//! People talk to people: the same scenarios all in one on SQLite, and split over two gateways, two replicas of threads,
//! PostgreSQL, RabbitMQ and Redis.

mod accounts;
mod attachments;
mod broker;
mod crashes;
mod errors;
mod folding;
mod live;
mod load;
mod repeats;
mod resume;
mod slow;
mod strangers;

use std::net::SocketAddr;

use confab_testkit::System;

/// The gateway for the `index`th of many sockets: every other one on each.
fn gateway(system: &System, index: usize) -> SocketAddr {
    let addresses = system.addresses();
    addresses[index % addresses.len()]
}
