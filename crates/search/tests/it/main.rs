//! The search service through its client, beside a real threads service, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod embedder;
mod finding;
mod indexing;
mod refusals;
mod scope;
mod sweeping;
mod world;
