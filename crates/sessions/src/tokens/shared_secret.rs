//! Tokens of a program that the operator trusts with a shared secret: HS256, as the direct-message front ends carry.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use uuid::Uuid;

use super::claims::{self, ACCESS, NumericDate};
use super::{Bearer, Verified};
use crate::error::Error;

/// Checks tokens that are signed with the secret.
pub(super) struct SharedSecret {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    user_id: Uuid,
    token_type: String,
    exp: NumericDate,
    nbf: Option<NumericDate>,
}

impl SharedSecret {
    /// `None` when no secret is shared.
    pub(super) fn new(secret: &SecretString) -> Option<Self> {
        let secret = secret.expose_secret();
        (!secret.is_empty()).then(|| Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation: claims::validation(Algorithm::HS256),
        })
    }

    pub(super) fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Verified, Error> {
        let claims: Claims = claims::claims(token, &self.key, &self.validation)?;
        if claims.token_type != ACCESS {
            return Err(Error::TokenInvalid);
        }
        Ok(Verified {
            bearer: Bearer::User(claims.user_id),
            expires_at: claims::expiry(claims.exp, claims.nbf, now)?,
        })
    }
}
