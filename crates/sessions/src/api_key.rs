//! API keys: what a user's program may do, and what it may cost.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::account::Budget;
use crate::error::Error;
use crate::opaque::{self, Use};

/// How many keys a user can have that are not revoked, and how many are listed.
pub(crate) const KEYS: u64 = 1000;

const NAME_BYTES: usize = 255;
const HINT_BYTES: usize = 4;

/// For how long a key is taken at its word: whoever stays longer has to show it again.
const CONNECTION: TimeDelta = TimeDelta::hours(1);

/// Something that a key lets a program do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Models,
    Chat,
    Embeddings,
    Conversations,
}

impl Scope {
    const ALL: [Self; 4] = [
        Self::Models,
        Self::Chat,
        Self::Embeddings,
        Self::Conversations,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Conversations => "conversations",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// The scopes of these names, in their own order, each once; all of them for none.
pub(crate) fn scopes(names: &[String]) -> Result<Vec<Scope>, Error> {
    if names.is_empty() {
        return Ok(Scope::ALL.to_vec());
    }
    let mut scopes = names
        .iter()
        .map(|name| Scope::named(name))
        .collect::<Option<Vec<_>>>()
        .ok_or(Error::Invalid(
            "a scope is one of models, chat, embeddings, conversations",
        ))?;
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

/// What a user calls a key: one line, perhaps empty.
pub(crate) fn name(text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.len() > NAME_BYTES || text.contains(char::is_control) {
        return Err(Error::Invalid(
            "a key's name must be at most 255 bytes on one line",
        ));
    }
    Ok(text.to_owned())
}

/// A key. Its secret is not known any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    /// The end of the secret, by which people tell their keys apart.
    pub(crate) hint: String,
    pub(crate) scopes: Vec<Scope>,
    /// Ascending; none: all that the user may ask. A grant that the user loses is lost to the key as well.
    pub(crate) models: Vec<i32>,
    pub(crate) budget: Budget,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
}

impl ApiKey {
    /// Refuses what was revoked or has expired.
    pub(crate) fn good(self, now: DateTime<Utc>) -> Result<Self, Error> {
        if self.revoked_at.is_some() {
            return Err(Error::TokenInvalid);
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::TokenExpired);
        }
        Ok(self)
    }

    /// Whether it may be used now.
    pub(crate) fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| at > now)
    }

    /// Whether the key may ask a model that its user may ask.
    pub(crate) fn may_ask(&self, model: i32) -> bool {
        self.models.is_empty() || self.models.binary_search(&model).is_ok()
    }

    /// Until when a connection that is opened with it may stay.
    pub(crate) fn connection_ends_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let bound = now + CONNECTION;
        self.expires_at.map_or(bound, |at| at.min(bound))
    }
}

/// A new secret of a key, which is told once.
pub(crate) struct Secret(SecretString);

impl Secret {
    pub(crate) fn generate() -> Result<Self, Error> {
        Use::ApiKey.generate().map(Self)
    }

    pub(crate) fn hash(&self) -> Vec<u8> {
        opaque::hash(self.0.expose_secret())
    }

    pub(crate) fn hint(&self) -> String {
        let secret = self.0.expose_secret();
        secret[secret.len() - HINT_BYTES..].to_owned()
    }

    /// For the one who asked for the key.
    pub(crate) fn tell(&self) -> String {
        self.0.expose_secret().to_owned()
    }
}
