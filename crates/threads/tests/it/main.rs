//! What the threads service promises, through its client, on SQLite and on PostgreSQL.

mod answers;
mod crowd;
mod deletions;
mod exchanges;
mod log;
mod messages;
mod people;
mod strangers;
mod threads;
mod world;
