//! Points in time, between chrono and the wire.

use chrono::{DateTime, TimeZone, Utc};
use prost_types::Timestamp;

/// A point in time as it travels.
#[must_use]
pub fn to_wire(at: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// The point in time that travelled; `None` when it is out of range.
#[must_use]
pub fn from_wire(at: Timestamp) -> Option<DateTime<Utc>> {
    Utc.timestamp_opt(at.seconds, u32::try_from(at.nanos).ok()?)
        .single()
}
