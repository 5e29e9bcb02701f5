//! The REST front end for conversations with a model, in every shape.

mod errors;
mod flow;
mod runs;
mod tokens;

use confab_rpc::sessions::{GetUserRequest, get_user_request};
use confab_testkit::System;
use uuid::Uuid;

/// The built-in model takes its time: one word in 100 ms.
const SLOW: (&str, &str) = ("completions.providers.scripted.behaviour", "slow");

/// The id by which other languages call a user.
async fn id_of(system: &System, number: i64) -> Uuid {
    let request = GetUserRequest {
        by: Some(get_user_request::By::Number(number)),
    };
    let user = system.sessions().get_user(request).await.unwrap();
    user.into_inner().id.parse().unwrap()
}

/// A gateway of the system, counted from 0; there may be only one.
fn gateway(system: &System, index: usize) -> std::net::SocketAddr {
    let addresses = system.addresses();
    addresses[index.min(addresses.len() - 1)]
}
