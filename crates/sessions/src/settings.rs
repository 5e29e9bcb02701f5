//! Section `[sessions]`.

use confab_runtime::settings::comma_separated;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::user::model_set;

/// RFC 7518 3.2: a key of at least the hash's size.
const SHARED_SECRET_BYTES: usize = 32;
/// What a column of the identities' table holds.
const ISSUER_BYTES: usize = 512;

/// What the sessions service is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where users, the ledger and the signing key are.
    pub database: confab_database::Settings,
    /// Confab's own tokens, and those of a trusted program that shares a secret.
    pub tokens: TokenSettings,
    /// The tokens of an OpenID Connect issuer.
    pub oidc: OidcSettings,
    /// Users who sign in with a password.
    pub sign_in: SignInSettings,
    /// Users who make themselves known.
    pub registration: RegistrationSettings,
}

/// Section `[sessions.sign_in]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInSettings {
    /// How long an access token of a sign-in session is good for, in seconds.
    pub access_seconds: u32,
    /// After how long one has to sign in again, in seconds, however often tokens were refreshed.
    pub session_seconds: u32,
}

/// Section `[sessions.registration]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationSettings {
    /// Whether anybody may become a user.
    pub open: bool,
    /// The models that such a user may ask.
    #[serde(deserialize_with = "comma_separated")]
    pub models: Vec<i32>,
    /// The money that such a user starts with, in micro-dollars.
    pub deposit_microdollars: i64,
}

/// Section `[sessions.tokens]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// `iss` of Confab's own tokens.
    pub issuer: String,
    /// `aud` of Confab's own tokens.
    pub audience: String,
    /// How long an own token is good for when nobody says otherwise, in seconds.
    pub lifetime_seconds: u32,
    /// Trusts HS256 tokens that are signed with it; at least 32 bytes, or empty: trusts none.
    pub shared_secret: SecretString,
}

/// Section `[sessions.oidc]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// Trusts access tokens (RS256, ES256) of this issuer, its URL exactly as in `iss`; empty: trusts none.
    pub issuer: String,
    /// What such a token must name in `aud`.
    pub audience: String,
    /// Where the issuer's keys are; empty: `<issuer>/.well-known/jwks.json`.
    pub jwks_url: String,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Section `[sessions.database]`.
    #[error("sessions.database: {0}")]
    Database(#[from] confab_database::SettingsError),
    /// Own tokens would be accepted anywhere.
    #[error("sessions.tokens.issuer and sessions.tokens.audience must not be empty")]
    NamelessTokens,
    /// Own tokens would expire as they are made.
    #[error("sessions.tokens.lifetime_seconds must be at least 1")]
    Lifetime,
    /// A session would end before its first token.
    #[error(
        "sessions.sign_in.access_seconds must be at least 1 and at most sessions.sign_in.session_seconds"
    )]
    SignInTimes,
    /// Nobody starts with debts.
    #[error("sessions.registration.deposit_microdollars must not be negative")]
    NegativeDeposit,
    /// More than a user may be granted.
    #[error("sessions.registration.models must be at most 1000")]
    TooManyModels,
    /// A short secret can be guessed from one token.
    #[error("sessions.tokens.shared_secret must be empty or at least {SHARED_SECRET_BYTES} bytes")]
    ShortSecret,
    /// Not the URL of an issuer.
    #[error("sessions.oidc.issuer must be an http or https URL of at most {ISSUER_BYTES} bytes")]
    OidcIssuer,
    /// Without an audience the issuer's tokens for any other program would be good here.
    #[error("sessions.oidc.audience must be set when sessions.oidc.issuer is")]
    OidcAudience,
    /// Not a URL.
    #[error("sessions.oidc.jwks_url must be an http or https URL")]
    OidcKeys,
    /// An audience or a URL of keys alone does nothing.
    #[error("sessions.oidc has an audience or a jwks_url but no issuer")]
    OidcIncomplete,
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.database.validate()?;
        self.tokens.validate()?;
        self.oidc.validate()?;
        self.sign_in.validate()?;
        self.registration.validate()
    }
}

impl SignInSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.access_seconds == 0 || self.access_seconds > self.session_seconds {
            return Err(SettingsError::SignInTimes);
        }
        Ok(())
    }
}

impl RegistrationSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.deposit_microdollars < 0 {
            return Err(SettingsError::NegativeDeposit);
        }
        model_set(self.models.clone()).map_err(|_| SettingsError::TooManyModels)?;
        Ok(())
    }
}

impl TokenSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err(SettingsError::NamelessTokens);
        }
        if self.lifetime_seconds == 0 {
            return Err(SettingsError::Lifetime);
        }
        let secret = self.shared_secret.expose_secret();
        if !secret.is_empty() && secret.len() < SHARED_SECRET_BYTES {
            return Err(SettingsError::ShortSecret);
        }
        Ok(())
    }
}

impl OidcSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.issuer.is_empty() {
            let alone = self.audience.is_empty() && self.jwks_url.is_empty();
            return alone.then_some(()).ok_or(SettingsError::OidcIncomplete);
        }
        if self.issuer.len() > ISSUER_BYTES || !is_http(&self.issuer) {
            return Err(SettingsError::OidcIssuer);
        }
        if self.audience.is_empty() {
            return Err(SettingsError::OidcAudience);
        }
        if !is_http(&self.keys_url()) {
            return Err(SettingsError::OidcKeys);
        }
        Ok(())
    }

    /// Where the issuer's keys are.
    pub(crate) fn keys_url(&self) -> String {
        if self.jwks_url.is_empty() {
            let issuer = self.issuer.trim_end_matches('/');
            return format!("{issuer}/.well-known/jwks.json");
        }
        self.jwks_url.clone()
    }
}

fn is_http(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}
