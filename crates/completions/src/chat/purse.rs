//! The money of calls without a thread: chats and vectors. It is set aside for a while and settled once, and nothing else
//! is written down. Of a process that dies, or that cannot reach sessions at the end for longer than a lease lasts, the
//! money is given back when that while is over, and nothing is charged.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use confab_rpc::sessions::ReserveRequest;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use uuid::Uuid;

use crate::error::Error;
use crate::run::Engine;

#[cfg(test)]
mod tests;

/// The longest that a call may take, to its last event.
pub(crate) const LONGEST_CALL: Duration = Duration::from_mins(15);
/// For how long its money is set aside, in seconds: there is time left to settle the longest one.
const LIFETIME: u32 = 20 * 60;

/// A call without a thread, and what it may cost in micro-dollars.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) api_key_id: Option<Uuid>,
    /// The model that was asked for.
    pub(crate) model_id: i32,
    /// It is not begun with less.
    pub(crate) minimum: i64,
    pub(crate) maximum: i64,
}

/// What a call took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) input_tokens: u32,
    pub(crate) output_tokens: u32,
    pub(crate) cost_microdollars: i64,
}

/// What a settlement came to, in micro-dollars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Booked {
    pub(crate) charged: i64,
    pub(crate) balance: i64,
}

impl Engine {
    /// Sets money aside for a call and says how much.
    pub(crate) async fn set_aside(&self, call: &Call) -> Result<i64, Error> {
        let request = ReserveRequest {
            user_id: call.user_id.to_string(),
            run_id: call.id.to_string(),
            model_id: call.model_id,
            minimum_microdollars: call.minimum.min(call.maximum),
            maximum_microdollars: call.maximum,
            open_limit: 0,
            // Whoever asks in a thread meanwhile does not wait for it.
            background: true,
            api_key_id: call.api_key_id.map(|id| id.to_string()).unwrap_or_default(),
            lifetime_seconds: LIFETIME,
        };
        let reserved = self.backends.reserve(request).await;
        if let Err(error) = &reserved {
            self.funds.forget(call);
            if error.may_pass() {
                // It may have been done all the same. If this fails, too, it ends with its lifetime.
                let _ = self.backends.settle(call.id, 0).await;
            }
        }
        reserved
    }

    /// Books what a call cost; 0 gives all of the money back.
    pub(crate) async fn book(&self, call: &Call, cost: i64) -> Result<Booked, Error> {
        let settled = self
            .insist(|| self.backends.settle(call.id, cost))
            .await?
            .unwrap_or_default();
        self.funds.learn(call, settled.available_microdollars);
        let charged = settled.charged_microdollars;
        if charged < cost {
            tracing::warn!(call = %call.id, cost, charged, "a call was not charged in full");
        }
        Ok(Booked {
            charged,
            balance: settled.account.unwrap_or_default().balance_microdollars,
        })
    }
}

/// Of how many payers it is known what they have left.
const PAYERS: u64 = 10_000;
/// For how long that is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// As many times what a call can cost at most must be left.
const MARGIN: i64 = 8;

/// What payers have left, as sessions said last.
#[derive(Debug)]
pub(crate) struct Funds(Cache<Payer, Arc<AtomicI64>>);

/// The model is a part of it: who may not ask it was never told what is left for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Payer {
    user: Uuid,
    api_key: Option<Uuid>,
    model: i32,
}

impl Default for Funds {
    fn default() -> Self {
        let payers = Cache::builder()
            .max_capacity(PAYERS)
            .time_to_live(BELIEVED)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self(payers)
    }
}

impl Funds {
    /// Whether a call is certain enough to be paid for that it may begin before its money is set aside. What it can cost is
    /// taken off until sessions says more: however many begin at once, no more is at stake than there was.
    pub(super) fn suffice(&self, call: &Call) -> bool {
        let Some(left) = self.0.get(&Payer::of(call)) else {
            return false;
        };
        let wanted = call.maximum.saturating_mul(MARGIN);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left >= wanted).then(|| left - call.maximum)
        })
        .is_ok()
    }

    fn learn(&self, call: &Call, available: i64) {
        let left = Arc::new(AtomicI64::new(available));
        self.0.insert(Payer::of(call), left);
    }

    fn forget(&self, call: &Call) {
        self.0.invalidate(&Payer::of(call));
    }
}

impl Payer {
    fn of(call: &Call) -> Self {
        Self {
            user: call.user_id,
            api_key: call.api_key_id,
            model: call.model_id,
        }
    }
}
