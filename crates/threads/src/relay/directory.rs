//! Where the readers of entries are, asked once for a batch.

use std::collections::HashSet;
use std::time::Duration;

use confab_cache::Cache;
use confab_delivery::GatewayId;
use confab_rpc::threads::Entry;
use tokio::time::Instant;
use uuid::Uuid;

use super::routes::{Known, audience};

/// A directory that failed is not asked again for this long: each question would hold up a batch.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Directory {
    cache: Cache,
    rests_until: Option<Instant>,
}

impl Directory {
    pub(super) fn new(cache: Cache) -> Self {
        Self {
            cache,
            rests_until: None,
        }
    }

    /// What is known of the readers of these entries: nothing while the directory is away.
    pub(super) async fn look(&mut self, entries: &[Entry]) -> Known {
        let users: HashSet<Uuid> = entries.iter().filter_map(audience).flatten().collect();
        let rests = self.rests_until.is_some_and(|end| Instant::now() < end);
        if users.is_empty() || rests {
            return Known::new();
        }
        let users: Vec<Uuid> = users.into_iter().collect();
        match self.cache.gateways_of(&users).await {
            Ok(found) => {
                self.rests_until = None;
                let gateways = found.iter().map(|gateways| parse(gateways));
                users.into_iter().zip(gateways).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "the directory is away: entries go to every gateway");
                self.rests_until = Some(Instant::now() + REST);
                Known::new()
            }
        }
    }
}

/// A directory that holds nonsense about a user knows nothing about that user.
fn parse(gateways: &[String]) -> Vec<GatewayId> {
    let parsed: Result<_, _> = gateways.iter().map(|gateway| gateway.parse()).collect();
    parsed.unwrap_or_default()
}
