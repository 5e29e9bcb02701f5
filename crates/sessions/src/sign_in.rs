//! Sign-in sessions: one per sign-in, kept alive by a refresh token that changes with each use.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// How long the token before the current one is taken for a repeat: its holder may have lost the reply.
const GRACE: TimeDelta = TimeDelta::seconds(10);

/// A session that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) expires_at: DateTime<Utc>,
}

/// What a refresh token that comes says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    /// It is the current one: the next generation takes its place.
    Current,
    /// It was the current one a moment ago: another of the current generation is given.
    Repeated,
    /// It was replaced long ago, so two have it, and one of them is a thief.
    Reused,
}

impl Presented {
    /// `current` is the session's generation since `rotated_at`.
    pub(crate) fn of(
        generation: i32,
        current: i32,
        rotated_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        if generation == current {
            return Self::Current;
        }
        if generation + 1 == current && now - rotated_at <= GRACE {
            return Self::Repeated;
        }
        Self::Reused
    }
}

/// A ticket that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsedTicket {
    pub(crate) user_id: Uuid,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) connection_ends_at: DateTime<Utc>,
}
