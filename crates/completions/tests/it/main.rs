//! Asks, from the question to the charge, on SQLite and on PostgreSQL, with the real services behind completions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agent;
mod agents;
mod asking;
mod asks;
mod context;
mod crashes;
mod failures;
mod summaries;
mod wire;
mod world;
