//! What the sessions service promises, through its client, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod api_keys;
mod house;
mod issuer;
mod money;
mod oidc;
mod profiles;
mod races;
mod reservations;
mod sign_in;
mod throttle;
mod tickets;
mod tokens;
mod users;
