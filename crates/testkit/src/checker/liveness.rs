//! Whether what was broken worked again in time.

use std::time::Duration;

use super::{Invariant, Violation};

/// `took`: from the end of the fault until `what` was so; none: it never was.
#[must_use]
pub fn late(what: &str, took: Option<Duration>, limit: Duration) -> Option<Violation> {
    let what = match took {
        Some(took) if took <= limit => return None,
        Some(took) => format!("{what} took {took:?}, more than {limit:?}"),
        None => format!("{what} never came, in more than {limit:?}"),
    };
    let invariant = Invariant::Liveness;
    Some(Violation { invariant, what })
}
