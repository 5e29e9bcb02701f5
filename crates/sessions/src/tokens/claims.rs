//! What all tokens have in common: their times, and how a signature is checked.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// How far apart the clocks of an outside issuer and ours may be.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// `token_type` of a token that may be used to ask for something.
pub(super) const ACCESS: &str = "access";

/// Seconds since 1970 (RFC 7519 2), perhaps with a fraction.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct NumericDate(f64);

impl NumericDate {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large saturates, and is then no date"
    )]
    fn date(self) -> Result<DateTime<Utc>, Error> {
        DateTime::from_timestamp(self.0.floor() as i64, 0).ok_or(Error::TokenInvalid)
    }
}

/// Demands `algorithm` and the `exp` claim. Whether that has passed is for [`expiry`] to say: the library asks the
/// machine's clock.
pub(super) fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation
}

/// [`validation`] that demands an issuer and an audience as well.
pub(super) fn validation_for(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = validation(algorithm);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation
}

/// The claims of a token that is signed with the key and passes the validation.
pub(super) fn claims<C: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    validation: &Validation,
) -> Result<C, Error> {
    match decode(token, key, validation) {
        Ok(token) => Ok(token.claims),
        Err(_) => Err(Error::TokenInvalid),
    }
}

/// When a token expires, if it is good at this moment.
pub(super) fn expiry(
    exp: NumericDate,
    nbf: Option<NumericDate>,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, Error> {
    if let Some(nbf) = nbf
        && nbf.date()? > now + LEEWAY
    {
        return Err(Error::TokenInvalid);
    }
    let expires_at = exp.date()?;
    if expires_at <= now - LEEWAY {
        return Err(Error::TokenExpired);
    }
    Ok(expires_at)
}
