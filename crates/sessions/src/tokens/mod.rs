//! Tokens: making Confab's own, and saying who a token belongs to, whoever made it.
//!
//! Each key has one algorithm; what a token's header claims about it only ever leads to a refusal. A token's key id and
//! issuer decide which key is tried, never whether the token is good.

mod claims;
mod jwks;
mod oidc;
mod own;
mod shared_secret;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use confab_runtime::Clock;
use jsonwebtoken::{Header, decode_header};
use uuid::Uuid;

use crate::error::{Error, OpenError};
use crate::settings::Settings;
use crate::sign_in::Session;
use crate::user::Identity;
use oidc::Oidc;
use own::OwnTokens;
use shared_secret::SharedSecret;

pub(crate) use own::PrivateKey;

/// A longer token is not even looked at.
const TOKEN_BYTES: usize = 8 * 1024;

/// Everything that tokens are made and checked with.
pub(crate) struct Tokens {
    own: OwnTokens,
    shared_secret: Option<SharedSecret>,
    oidc: Option<Oidc>,
    clock: Arc<dyn Clock>,
}

/// What a good token says.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) bearer: Bearer,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Who a token belongs to.
#[derive(Debug, Clone)]
pub(crate) enum Bearer {
    /// A user, if there is one of this id.
    User(Uuid),
    /// A user in a sign-in session, if it goes on.
    Session(Uuid, Uuid),
    /// A subject of the trusted issuer, perhaps for the first time.
    Outside(Identity),
}

/// A token that was made, and when it expires.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Tokens {
    /// `keys` are Confab's own, the one that signs last.
    pub(crate) fn new(
        keys: &[PrivateKey],
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            own: OwnTokens::new(keys, &settings.tokens)?,
            shared_secret: SharedSecret::new(&settings.tokens.shared_secret),
            oidc: Oidc::new(&settings.oidc, Arc::clone(&clock))?,
            clock,
        })
    }

    /// A token of our own; it lives as long as configured when `lifetime_seconds` is 0.
    pub(crate) fn issue(&self, user: Uuid, lifetime_seconds: u32) -> Result<Issued, Error> {
        self.own.issue(user, lifetime_seconds, self.clock.now())
    }

    /// A token of a sign-in session.
    pub(crate) fn issue_for(
        &self,
        session: &Session,
        lifetime_seconds: u32,
    ) -> Result<Issued, Error> {
        self.own
            .issue_for(session, lifetime_seconds, self.clock.now())
    }

    /// The public keys of our own tokens as JSON.
    pub(crate) fn key_set(&self) -> &str {
        self.own.key_set()
    }

    /// Who a token belongs to.
    pub(crate) async fn verify(&self, token: &str) -> Result<Verified, Error> {
        if token.len() > TOKEN_BYTES {
            return Err(Error::TokenInvalid);
        }
        let header = decode_header(token).map_err(|_| Error::TokenInvalid)?;
        // RFC 7515 4.1.11: who does not understand what is critical, and we know no extension, must refuse.
        if header.crit.is_some() {
            return Err(Error::TokenInvalid);
        }
        let now = self.clock.now();
        if let Some(key) = self.own.key(&header) {
            return self.own.verify(token, &header, key, now);
        }
        if !may_be_access_token(&header) {
            return Err(Error::TokenInvalid);
        }
        if let Some(oidc) = &self.oidc
            && oidc.is_issuer_of(token)
        {
            return oidc.verify(token, &header, now).await;
        }
        match &self.shared_secret {
            Some(secret) => secret.verify(token, now),
            None => Err(Error::TokenInvalid),
        }
    }
}

/// Outside issuers call access tokens `JWT`, `at+jwt` (RFC 9068) or nothing; other types are made for other purposes.
fn may_be_access_token(header: &Header) -> bool {
    match &header.typ {
        None => true,
        Some(typ) => ["jwt", "at+jwt", "application/at+jwt"]
            .iter()
            .any(|known| typ.eq_ignore_ascii_case(known)),
    }
}
