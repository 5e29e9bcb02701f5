//! Asks, from the question to the charge, on SQLite and on PostgreSQL, with the real services behind completions.

mod agent;
mod agents;
mod asks;
mod context;
mod crashes;
mod failures;
mod summaries;
mod wire;
mod world;
