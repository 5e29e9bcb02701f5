//! The REST front end for conversations with a model, in every shape.

mod deaths;
mod errors;
mod flow;
mod keys;
mod runs;
mod tokens;

use confab_rpc::sessions::{GetUserRequest, get_user_request};
use confab_testkit::openai::OpenAi;
use confab_testkit::{Shape, System};
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

/// A system whose models a provider answers for that is the test's own.
async fn system_with(shape: Shape, provider: &OpenAi) -> System {
    let url = provider.url();
    let settings = [
        ("completions.providers.openai.base_url", url.as_str()),
        ("completions.providers.openai.api_key", "test-key"),
        ("completions.summarise", "false"),
    ];
    System::start_with(shape, &settings).await
}
