//! Waiting for what happens off the request path.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// How often it is looked at.
const PERIOD: Duration = Duration::from_millis(5);

/// When it is taken to never happen; a guard against a test that hangs, not a limit that is tested.
const NEVER: Duration = Duration::from_mins(1);

/// What `look` gives once it gives something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        let mut period = interval(PERIOD);
        loop {
            period.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    in_time(what, found).await
}

/// What `work` gives; a test that would wait for ever fails instead.
pub async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    within(work)
        .await
        .unwrap_or_else(|| panic!("it never happened: {what}"))
}

/// What `work` gives; `None` when it would take for ever.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> Option<T> {
    timeout(NEVER, work).await.ok()
}
