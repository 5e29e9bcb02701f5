//! Confab's own tokens: Ed25519, typed `at+jwt` (RFC 9068), found by their key id.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, encode};
use moka::sync::Cache;
use pem::Pem;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::claims::{self, ACCESS, NumericDate};
use super::{Bearer, Issued, Verified};
use crate::error::{Error, OpenError};
use crate::settings::TokenSettings;
use crate::sign_in::Session;

const ALGORITHM: Algorithm = Algorithm::EdDSA;
const TYPE: &str = "at+jwt";

/// Tokens whose signature need not be checked again. Each request brings its token, and checking a signature is most of what
/// its verification costs.
const PROVEN: u64 = 10_000;
/// After so long without a use a token is forgotten.
const UNUSED: Duration = Duration::from_mins(10);

/// A key that signs, as it is kept.
#[derive(Debug)]
pub(crate) struct PrivateKey {
    /// The key's thumbprint (RFC 7638).
    pub(crate) id: String,
    /// PKCS#8.
    pub(crate) pem: SecretString,
}

impl PrivateKey {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, OpenError> {
        // Version 1 is what `Jwk::from_encoding_key` reads, and OpenSSL.
        let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())?;
        let pem = pem::encode(&Pem::new("PRIVATE KEY", document.as_ref()));
        let public = public_key(&EncodingKey::from_ed_pem(pem.as_bytes())?)?;
        Ok(Self {
            id: public.thumbprint(ThumbprintHash::SHA256)?,
            pem: SecretString::from(pem),
        })
    }

    fn signing(&self) -> Result<EncodingKey, OpenError> {
        Ok(EncodingKey::from_ed_pem(
            self.pem.expose_secret().as_bytes(),
        )?)
    }
}

fn public_key(key: &EncodingKey) -> Result<Jwk, OpenError> {
    let mut jwk = Jwk::from_encoding_key(key, ALGORITHM)?;
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
}

/// Makes and checks our own tokens.
pub(super) struct OwnTokens {
    issuer: String,
    audience: String,
    lifetime_seconds: u32,
    validation: Validation,
    header: Header,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    /// What tokens with a good signature say, by their SHA-256. Whether they are good *now* is asked each time.
    proven: Cache<[u8; SHA256_OUTPUT_LEN], Proven>,
    key_set: String,
}

/// What a token of ours says that is one to ask with.
#[derive(Clone)]
struct Proven {
    bearer: Bearer,
    exp: NumericDate,
    nbf: Option<NumericDate>,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    iat: i64,
    exp: i64,
    jti: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    token_type: &'static str,
}

#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    sid: Option<Uuid>,
    token_type: String,
}

impl OwnTokens {
    /// All of `keys` verify, the last one signs.
    pub(super) fn new(keys: &[PrivateKey], settings: &TokenSettings) -> Result<Self, OpenError> {
        let newest = keys.last().ok_or(OpenError::NoKey)?;
        let mut header = Header::new(ALGORITHM);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(newest.id.clone());

        let mut verifying = HashMap::new();
        let mut set = JwkSet::default();
        for key in keys {
            let mut public = public_key(&key.signing()?)?;
            public.common.key_id = Some(key.id.clone());
            verifying.insert(key.id.clone(), DecodingKey::from_jwk(&public)?);
            set.keys.push(public);
        }
        Ok(Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            lifetime_seconds: settings.lifetime_seconds,
            validation: claims::validation_for(ALGORITHM, &settings.issuer, &settings.audience),
            header,
            signing: newest.signing()?,
            verifying,
            proven: Cache::builder()
                .max_capacity(PROVEN)
                .time_to_idle(UNUSED)
                .build(),
            key_set: serde_json::to_string(&set)?,
        })
    }

    pub(super) fn key_set(&self) -> &str {
        &self.key_set
    }

    /// A token for itself; it lives as long as configured when `lifetime_seconds` is 0.
    pub(super) fn issue(
        &self,
        user: Uuid,
        lifetime_seconds: u32,
        now: DateTime<Utc>,
    ) -> Result<Issued, Error> {
        let lifetime = match lifetime_seconds {
            0 => self.lifetime_seconds,
            seconds => seconds,
        };
        self.sign(user, None, now + TimeDelta::seconds(lifetime.into()), now)
    }

    /// A token of a sign-in session.
    pub(super) fn issue_for(
        &self,
        session: &Session,
        lifetime_seconds: u32,
        now: DateTime<Utc>,
    ) -> Result<Issued, Error> {
        let ends = now + TimeDelta::seconds(lifetime_seconds.into());
        let ends = ends.min(session.expires_at);
        self.sign(session.user_id, Some(session.id), ends, now)
    }

    fn sign(
        &self,
        user: Uuid,
        session: Option<Uuid>,
        expires_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Issued, Error> {
        let expires_at = expires_at.trunc_subsecs(0);
        let claims = NewClaims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: user,
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
            jti: Uuid::now_v7(),
            sid: session,
            token_type: ACCESS,
        };
        let token = encode(&self.header, &claims, &self.signing).map_err(Error::Signing)?;
        Ok(Issued { token, expires_at })
    }

    /// The key that a token names, when it is one of ours.
    pub(super) fn key(&self, header: &Header) -> Option<&DecodingKey> {
        self.verifying.get(header.kid.as_deref()?)
    }

    /// Checks a token against the key of ours that it names.
    pub(super) fn verify(
        &self,
        token: &str,
        header: &Header,
        key: &DecodingKey,
        now: DateTime<Utc>,
    ) -> Result<Verified, Error> {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let proven = if let Some(proven) = self.proven.get(&hash) {
            proven
        } else {
            let proven = self.prove(token, header, key)?;
            self.proven.insert(hash, proven.clone());
            proven
        };
        Ok(Verified {
            expires_at: claims::expiry(proven.exp, proven.nbf, now)?,
            bearer: proven.bearer,
        })
    }

    fn prove(&self, token: &str, header: &Header, key: &DecodingKey) -> Result<Proven, Error> {
        if header.typ.as_deref() != Some(TYPE) {
            return Err(Error::TokenInvalid);
        }
        let claims: Claims = claims::claims(token, key, &self.validation)?;
        if claims.token_type != ACCESS {
            return Err(Error::TokenInvalid);
        }
        Ok(Proven {
            bearer: match claims.sid {
                Some(session) => Bearer::Session(claims.sub, session),
                None => Bearer::User(claims.sub),
            },
            exp: claims.exp,
            nbf: claims.nbf,
        })
    }
}
