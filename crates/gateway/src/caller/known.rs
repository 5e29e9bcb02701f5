//! Who proved a moment ago who they are, for rooms whose requests come one after another: the same credential is asked
//! about again after half a second. So long, at most, something that was revoked elsewhere is still good; what is
//! revoked through this gateway is not.

use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::{Asker, Credential, Refusal, Verified};
use crate::backends::Backends;

/// For how long an answer stands.
const STANDS: Duration = Duration::from_millis(500);

/// How many are remembered.
const CREDENTIALS: u64 = 10_000;

/// Askers by the hash of their credential. Who was turned away is not remembered.
#[derive(Debug)]
pub(crate) struct Known(Cache<[u8; 32], Asker>);

impl Default for Known {
    fn default() -> Self {
        let askers = Cache::builder()
            .max_capacity(CREDENTIALS)
            .time_to_live(STANDS)
            .build();
        Self(askers)
    }
}

impl Known {
    /// Whose credential it is; see [`Asker::identify`].
    pub(crate) async fn identify(
        &self,
        backends: &Backends,
        credential: Option<&Credential>,
    ) -> Result<Asker, Refusal> {
        let hash = credential.map(|credential| Sha256::digest(credential.token()).into());
        if let Some(asker) = hash.and_then(|hash| self.0.get(&hash)) {
            return Ok(asker);
        }
        let asker = Asker::identify(backends, credential).await?;
        if let Some(hash) = hash {
            self.0.insert(hash, asker.clone());
        }
        Ok(asker)
    }

    /// The same in a room that takes no API key.
    pub(crate) async fn user(
        &self,
        backends: &Backends,
        credential: Option<&Credential>,
    ) -> Result<Verified, Refusal> {
        let asker = self.identify(backends, credential).await?;
        asker.by_token().ok_or(Refusal::Unauthorized)
    }

    /// Something was revoked.
    pub(crate) fn forget(&self) {
        self.0.invalidate_all();
    }
}
