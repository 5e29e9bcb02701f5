//! Points in time and sizes as this language writes them.

use chrono::SecondsFormat;
use confab_rpc::time;
use prost_types::Timestamp;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// How a time says that it is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// `Z`, in REST.
    Letter,
    /// `+00:00`, on sockets.
    Offset,
}

/// A point in time with microseconds; empty when there is none.
pub(super) fn time(at: Option<Timestamp>, zone: Zone) -> String {
    at.and_then(time::from_wire)
        .map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, zone == Zone::Letter))
        .unwrap_or_default()
}

/// How large a file is; `None` when there is no file.
#[expect(
    clippy::cast_precision_loss,
    reason = "two digits after the point are shown"
)]
pub(super) fn size(bytes: Option<i64>) -> String {
    let Some(bytes) = bytes.map(|bytes| bytes as f64) else {
        return "0kb".to_owned();
    };
    if bytes > MIB {
        format!("{:.2}MB", bytes / MIB)
    } else {
        format!("{:.2}KB", bytes / KIB)
    }
}
