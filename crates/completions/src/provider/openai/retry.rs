//! Trying again until the first text is there.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::provider::ProviderError;

/// The first pause is at most this long, and each further one at most twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An attempt that brought no text.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ProviderError,
    pub(super) again: Again,
}

/// Whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// After a pause of the caller's choice.
    Soon,
    /// After the pause that the server asks for.
    After(Duration),
}

impl Failure {
    pub(super) fn new(again: Again, text: impl Into<String>) -> Self {
        let error = ProviderError::Failed(text.into());
        Self { error, again }
    }

    pub(super) fn too_long() -> Self {
        Self {
            error: ProviderError::TooLong,
            again: Again::Never,
        }
    }
}

/// Attempts until one brings text, at most `retries` times more than once, and all of them within `limit`.
pub(super) async fn until_text<T, F>(
    retries: u32,
    limit: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let deadline = Instant::now() + limit;
    let mut failed = 0;
    loop {
        let failure = match timeout_at(deadline, attempt()).await {
            Ok(Ok(begun)) => return Ok(begun),
            Ok(Err(failure)) => failure,
            Err(_) => {
                return Err(ProviderError::Failed(format!(
                    "no text within {} ms",
                    limit.as_millis()
                )));
            }
        };
        let Some(pause) = pause(failure.again, failed) else {
            return Err(failure.error);
        };
        if failed == retries || Instant::now() + pause >= deadline {
            return Err(failure.error);
        }
        failed += 1;
        tracing::warn!(error = %failure.error, attempt = failed, ?pause, "a provider is tried again");
        sleep(pause).await;
    }
}

/// Full jitter: clients that failed together do not come back together.
fn pause(again: Again, failed: u32) -> Option<Duration> {
    match again {
        Again::Never => None,
        Again::Soon => {
            let longest = FIRST_PAUSE
                .saturating_mul(2_u32.saturating_pow(failed))
                .min(LONGEST_PAUSE);
            Some(longest.mul_f64(fastrand::f64()))
        }
        Again::After(asked) => {
            let asked = asked.min(LONGEST_PAUSE);
            Some(asked + (asked / 4).mul_f64(fastrand::f64()))
        }
    }
}

/// Whether an HTTP status speaks of the moment, not of the request.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}
