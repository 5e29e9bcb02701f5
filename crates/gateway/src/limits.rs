//! How much one caller may ask for in a minute. Rooms ask before they do anything, and report what answers took.
//!
//! A minute begins with a caller's first request and ends 60 seconds later (a fixed window, so up to twice the limit may
//! come around its end). It is counted in the cache: by all gateways together when that is a Redis, else by each for
//! itself. While the cache is away everything is let through: the limits save the providers' patience, not money, which
//! balances and budgets do.

#[cfg(test)]
mod tests;

use std::time::Duration;

use confab_cache::{Cache, Count};
use confab_runtime::Tasks;

use crate::settings;

const WINDOW: Duration = Duration::from_mins(1);

/// Counts what callers ask for; cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    cache: Cache,
    tasks: Tasks,
    /// In a minute; 0: no limit.
    requests: u64,
    tokens: u64,
}

impl Limits {
    pub(crate) fn new(settings: &settings::Limits, cache: &Cache, tasks: &Tasks) -> Self {
        Self {
            cache: cache.clone(),
            tasks: tasks.clone(),
            requests: settings.requests_per_minute,
            tokens: settings.tokens_per_minute,
        }
    }

    /// Counts a request and says where its caller stands. One that is refused is counted too.
    pub(crate) async fn admit(&self, caller: &str) -> Standing {
        let requests = self.window("requests", caller, self.requests, 1);
        let tokens = self.window("tokens", caller, self.tokens, 0);
        let (requests, tokens) = futures_util::future::join(requests, tokens).await;
        Standing { requests, tokens }
    }

    /// What counts the tokens of one answer.
    pub(crate) fn meter(&self, caller: String) -> Meter {
        Meter {
            limits: self.clone(),
            caller,
            tokens: 0,
        }
    }

    async fn window(&self, kind: &str, caller: &str, limit: u64, amount: u64) -> Option<Window> {
        if limit == 0 {
            return None;
        }
        let counter = format!("{kind}:{caller}");
        match self.cache.count(&counter, amount, WINDOW).await {
            Ok(Count { total, ends_in }) => Some(Window {
                limit,
                used: total,
                ends_in,
            }),
            Err(error) => {
                tracing::debug!(%error, "a request was not counted");
                None
            }
        }
    }
}

/// Where a caller stands in the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// None: no limit, or nothing is known.
    pub(crate) requests: Option<Window>,
    pub(crate) tokens: Option<Window>,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) limit: u64,
    /// This request included.
    pub(crate) used: u64,
    pub(crate) ends_in: Duration,
}

/// Too much was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Of what: `requests` or `tokens`.
    pub(crate) what: &'static str,
    pub(crate) limit: u64,
    /// When to come back.
    pub(crate) wait: Duration,
}

impl Standing {
    /// Refuses a request beyond the limit, and any once the tokens are used up.
    pub(crate) fn check(&self) -> Result<(), Exceeded> {
        let exceeded = |what, window: Window| Exceeded {
            what,
            limit: window.limit,
            wait: window.ends_in,
        };
        match (self.requests, self.tokens) {
            (Some(it), _) if it.used > it.limit => Err(exceeded("requests", it)),
            (_, Some(it)) if it.used >= it.limit => Err(exceeded("tokens", it)),
            _ => Ok(()),
        }
    }
}

impl Window {
    /// What is left of it.
    pub(crate) fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Counts the tokens of one answer when it is dropped, however the answer ended.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    caller: String,
    tokens: u64,
}

impl Meter {
    /// So many pieces were read: as good as tokens while nothing better is known.
    pub(crate) fn pieces(&mut self, count: usize) {
        self.tokens += u64::try_from(count).unwrap_or(u64::MAX);
    }

    /// What it took, as was counted in the end.
    pub(crate) fn settle(&mut self, input: u32, output: u32) {
        self.tokens = u64::from(input) + u64::from(output);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.tokens == 0 || self.limits.tokens == 0 {
            return;
        }
        let (limits, tokens) = (self.limits.clone(), self.tokens);
        let caller = std::mem::take(&mut self.caller);
        self.limits.tasks.spawn("count of tokens", async move {
            limits
                .window("tokens", &caller, limits.tokens, tokens)
                .await;
        });
    }
}
