//! Who asks in a room that programs use too: a user, by a token or by an API key that says what it is good for.

use confab_rpc::sessions::{ApiKey, VerifiedToken};

use super::{Credential, Refusal, Verified, verify_any};
use crate::backends::Backends;

/// What an API key may be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Models,
    Chat,
    Embeddings,
    Conversations,
}

impl Scope {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Conversations => "conversations",
        }
    }
}

/// A verified user, and the API key in use, if it is one.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) user: Verified,
    /// Ids of the models that the user may ask.
    granted: Vec<i32>,
    key: Option<ApiKey>,
}

impl Asker {
    /// Whose credential it is. Open mode makes no difference: somebody pays for what is asked.
    pub(super) async fn identify(
        backends: &Backends,
        credential: Option<&Credential>,
    ) -> Result<Self, Refusal> {
        Self::of(verify_any(backends, credential).await?)
    }

    /// What the sessions service says.
    pub(super) fn of(verified: VerifiedToken) -> Result<Self, Refusal> {
        Ok(Self {
            user: Verified::of(&verified)?,
            granted: verified.user.map(|user| user.models).unwrap_or_default(),
            key: verified.api_key,
        })
    }

    /// The user, if it is a token.
    pub(super) fn by_token(&self) -> Option<Verified> {
        self.key.is_none().then_some(self.user)
    }

    /// Whether the credential is good for this; a user's own token is good for everything.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        let Some(key) = &self.key else {
            return true;
        };
        key.scopes.iter().any(|it| it == scope.as_str())
    }

    /// Whether a model may be asked with it: one that the user is granted and that the key, if it names any, names.
    pub(crate) fn may_ask(&self, model: i32) -> bool {
        let named = self.key.as_ref().map_or(&[][..], |key| &key.models[..]);
        self.granted.contains(&model) && (named.is_empty() || named.contains(&model))
    }

    /// As requests to services name the key; empty: none.
    pub(crate) fn api_key_id(&self) -> String {
        self.key
            .as_ref()
            .map(|key| key.id.clone())
            .unwrap_or_default()
    }

    /// Under which name its requests are counted: each key has a count of its own.
    pub(crate) fn counter(&self) -> String {
        match &self.key {
            Some(key) => format!("key:{}", key.id),
            None => format!("user:{}", self.user.id),
        }
    }
}
