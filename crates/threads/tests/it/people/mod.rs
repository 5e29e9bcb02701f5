//! Threads between people.

mod calls;
mod groups;
mod history;
mod positions;
mod refusals;
mod sending;
mod town;
mod unread;
