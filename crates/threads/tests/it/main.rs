//! What the threads service promises, through its client, on SQLite and on PostgreSQL.

mod answers;
mod exchanges;
mod log;
mod people;
mod strangers;
mod threads;
mod world;
