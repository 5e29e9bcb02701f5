//! The public keys of an outside issuer, fetched when needed and kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use confab_runtime::{Clock, Tasks};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use serde::Deserialize;
use tokio::sync::{Mutex, oneshot};

use crate::error::{Error, OpenError};

/// Less than what a call may take, so that its caller learns the reason.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
/// Anybody can name a key that does not exist: that must not become traffic for the issuer.
const FETCH_PAUSE: TimeDelta = TimeDelta::seconds(30);
/// Keys that the issuer has withdrawn are believed no longer than this.
const MAX_AGE: TimeDelta = TimeDelta::hours(1);
/// A larger set of keys is none.
const SET_BYTES: usize = 256 * 1024;

/// A key of the issuer, with the one algorithm it is for.
#[derive(Debug, Clone)]
pub(super) struct IssuerKey {
    id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Keys as they were fetched; none before the first time.
#[derive(Debug, Default)]
struct Fetched {
    keys: Vec<Arc<IssuerKey>>,
    at: Option<DateTime<Utc>>,
}

/// The latest attempt to fetch.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    at: DateTime<Utc>,
    succeeded: bool,
}

/// The issuer's keys.
pub(super) struct IssuerKeys {
    url: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    fetched: Arc<RwLock<Fetched>>,
    /// Held while fetching, so that there is one fetch at a time and everybody who needs it waits for it.
    latest: Arc<Mutex<Option<Attempt>>>,
    /// A caller that goes away must not take the fetch with it: others wait for it, and it counts.
    tasks: Tasks,
}

impl IssuerKeys {
    pub(super) fn new(url: String, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(Policy::none())
            .build()?;
        Ok(Self {
            url,
            client,
            clock,
            fetched: Arc::default(),
            latest: Arc::default(),
            tasks: Tasks::new(),
        })
    }

    /// The key of this id, or the only key when a token names none.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<IssuerKey>, Error> {
        if let Some(key) = self.fresh(id) {
            return Ok(key);
        }
        let latest = self.refresh(id).await;
        // What could be fetched no more is better than nobody being let in.
        match self.kept(id) {
            Some(key) => Ok(key),
            None if latest.is_some_and(|attempt| attempt.succeeded) => Err(Error::TokenInvalid),
            None => Err(Error::IssuerUnavailable),
        }
    }

    fn kept(&self, id: Option<&str>) -> Option<Arc<IssuerKey>> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        fetched.find(id)
    }

    fn fresh(&self, id: Option<&str>) -> Option<Arc<IssuerKey>> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        let age = self.clock.now() - fetched.at?;
        if age > MAX_AGE {
            return None;
        }
        fetched.find(id)
    }

    /// Fetches, unless somebody just did, and says how the latest attempt went.
    async fn refresh(&self, id: Option<&str>) -> Option<Attempt> {
        let mut latest = Arc::clone(&self.latest).lock_owned().await;
        let now = self.clock.now();
        let just_tried = latest.is_some_and(|attempt| now - attempt.at < FETCH_PAUSE);
        if just_tried || self.fresh(id).is_some() {
            return *latest;
        }
        let (url, client) = (self.url.clone(), self.client.clone());
        let fetched = Arc::clone(&self.fetched);
        let (done, attempt) = oneshot::channel();
        self.tasks.spawn("fetch an issuer's keys", async move {
            let succeeded = match fetch(&client, &url).await {
                Ok(keys) => {
                    let at = Some(now);
                    *fetched.write().unwrap_or_else(PoisonError::into_inner) = Fetched { keys, at };
                    true
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the OpenID Connect issuer's keys were not fetched");
                    false
                }
            };
            let attempt = Attempt { at: now, succeeded };
            *latest = Some(attempt);
            // Nobody may be waiting any more.
            let _ = done.send(attempt);
        });
        attempt.await.ok()
    }
}

impl Fetched {
    fn find(&self, id: Option<&str>) -> Option<Arc<IssuerKey>> {
        match (id, self.keys.as_slice()) {
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
            (Some(_), keys) => keys.iter().find(|key| key.id.as_deref() == id).cloned(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is larger than {SET_BYTES} bytes")]
    TooLarge,
    #[error("the answer is no set of keys: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("no key in the set can be used")]
    NoKey,
}

#[derive(Deserialize)]
struct KeySet {
    /// Parsed one by one: a key of a kind that is not known must not take the others with it.
    keys: Vec<serde_json::Value>,
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<Arc<IssuerKey>>, FetchError> {
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > SET_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let set: KeySet = serde_json::from_slice(&body)?;
    let keys: Vec<_> = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value(key).ok())
        .filter_map(|jwk| usable(&jwk))
        .map(Arc::new)
        .collect();
    if keys.is_empty() {
        return Err(FetchError::NoKey);
    }
    Ok(keys)
}

/// A key of the set, if it is one that signs with an algorithm we take. Its kind says which one that is.
fn usable(jwk: &Jwk) -> Option<IssuerKey> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        _ => return None,
    };
    let common = &jwk.common;
    let other_algorithm = common
        .key_algorithm
        .is_some_and(|named| named != KeyAlgorithm::from(algorithm));
    let other_use = common
        .public_key_use
        .as_ref()
        .is_some_and(|named| *named != PublicKeyUse::Signature);
    if other_algorithm || other_use {
        return None;
    }
    Some(IssuerKey {
        id: common.key_id.clone(),
        algorithm,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}
