//! Which thread a conversation's number belongs to. That never changes, and whoever goes on with a conversation names it in
//! every request. Whether it is still there, and still the caller's, is found out by what is done with it.

use std::time::Duration;

use moka::sync::Cache;
use uuid::Uuid;

/// How many are remembered.
const NUMBERS: u64 = 10_000;
/// One that is not named for so long is forgotten.
const IDLE: Duration = Duration::from_mins(10);

/// The ids of users' threads by their numbers. Clones share them.
#[derive(Debug, Clone)]
pub(in super::super) struct Numbers(Cache<(Uuid, i64), String>);

impl Default for Numbers {
    fn default() -> Self {
        let threads = Cache::builder()
            .max_capacity(NUMBERS)
            .time_to_idle(IDLE)
            .build();
        Self(threads)
    }
}

impl Numbers {
    /// The thread with that number, if the user was found to be in it.
    pub(super) fn thread(&self, user: Uuid, number: i64) -> Option<String> {
        self.0.get(&(user, number))
    }

    /// Remembers a thread that the user is in.
    pub(super) fn remember(&self, user: Uuid, number: i64, thread: String) {
        self.0.insert((user, number), thread);
    }
}
