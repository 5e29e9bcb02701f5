//! The whole of Confab from outside: the same scenarios in every shape it can be deployed in, and what holds for the
//! workspace as a whole.
#![expect(
    clippy::expect_used,
    clippy::large_futures,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod agents;
mod architecture;
mod assistant;
mod command_line;
mod conversations;
mod crash;
mod docs;
mod faults;
mod files;
mod handshake;
mod keys;
mod load;
mod openai;
mod people;
mod providers;
mod sdk;
mod search;
mod settings;
mod tokens;
