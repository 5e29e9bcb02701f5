//! Asks, from the question to the charge, on SQLite and on PostgreSQL, with the real services behind completions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agent;
mod agents;
mod alternatives;
mod asking;
mod asks;
mod cancelling;
mod chat;
mod context;
mod crashes;
mod early;
mod embed;
mod failures;
mod following;
mod raw;
mod restarts;
mod setup;
mod stored;
mod summaries;
mod upstream;
mod wire;
mod world;
