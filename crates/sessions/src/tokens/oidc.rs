//! Access tokens of the OpenID Connect issuer that the operator trusts: RS256 or ES256, as the group front ends carry.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use confab_runtime::Clock;
use jsonwebtoken::Header;
use jsonwebtoken::dangerous::insecure_decode_claims;
use serde::Deserialize;

use super::claims::{self, NumericDate};
use super::jwks::IssuerKeys;
use super::{Bearer, Verified};
use crate::error::{Error, OpenError};
use crate::settings::OidcSettings;
use crate::user::{Identity, Username};

/// OpenID Connect Core 2: a subject is at most so long.
const SUBJECT_BYTES: usize = 255;

/// Checks the issuer's tokens.
pub(super) struct Oidc {
    issuer: String,
    audience: String,
    keys: IssuerKeys,
}

#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    nickname: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
}

impl Oidc {
    /// `None` when no issuer is trusted.
    pub(super) fn new(
        settings: &OidcSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, OpenError> {
        if settings.issuer.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            keys: IssuerKeys::new(settings.keys_url(), clock)?,
        }))
    }

    /// Whether a token claims to be this issuer's; it is not believed yet.
    pub(super) fn is_issuer_of(&self, token: &str) -> bool {
        insecure_decode_claims::<Issuer>(token).is_ok_and(|claims| claims.iss == self.issuer)
    }

    pub(super) async fn verify(
        &self,
        token: &str,
        header: &Header,
        now: DateTime<Utc>,
    ) -> Result<Verified, Error> {
        let key = self.keys.find(header.kid.as_deref()).await?;
        let validation = claims::validation_for(key.algorithm, &self.issuer, &self.audience);
        let claims: Claims = claims::claims(token, &key.key, &validation)?;
        let expires_at = claims::expiry(claims.exp, claims.nbf, now)?;
        Ok(Verified {
            bearer: Bearer::Outside(self.identity(claims)?),
            expires_at,
        })
    }

    fn identity(&self, claims: Claims) -> Result<Identity, Error> {
        let subject = claims.sub;
        let length = 1..=SUBJECT_BYTES;
        if !length.contains(&subject.len()) || subject.contains(char::is_control) {
            return Err(Error::TokenInvalid);
        }
        let local_part = claims
            .email
            .as_deref()
            .and_then(|mail| mail.split('@').next());
        let names = [
            claims.nickname.as_deref(),
            claims.preferred_username.as_deref(),
            local_part,
            Some(subject.as_str()),
        ];
        let username = names
            .into_iter()
            .flatten()
            .find_map(Username::from_outside)
            .ok_or(Error::TokenInvalid)?;
        Ok(Identity {
            issuer: self.issuer.clone(),
            subject,
            username,
        })
    }
}
