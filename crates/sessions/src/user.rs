//! Users and their names.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;

const USERNAME_BYTES: usize = 255;
/// Leaves room for the digits of [`Username::numbered`].
const NUMBERED_BYTES: usize = USERNAME_BYTES - 20;
const MODELS: usize = 1000;

/// Somebody who may ask models and spend money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) number: i64,
    pub(crate) username: String,
    pub(crate) models: Vec<i32>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Somebody as an outside issuer knows them.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// What to call them here when they are new.
    pub(crate) username: Username,
}

/// A name that a user may have: 1 to 255 bytes without control characters or blanks around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Username(String);

impl Username {
    /// Blanks around it are dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let name = text.trim();
        if name.is_empty() || name.len() > USERNAME_BYTES || name.contains(char::is_control) {
            return Err(Error::Invalid(
                "a username must be 1 to 255 bytes without control characters",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// As much of a text that comes from elsewhere as can be a name, if anything can.
    pub(crate) fn from_outside(text: &str) -> Option<Self> {
        Self::parse(cut(text.trim(), NUMBERED_BYTES)).ok()
    }

    /// This name with digits after it, for when others have it already. Each further attempt chooses from ten times as
    /// many numbers, so a few attempts are enough however many have the name.
    pub(crate) fn numbered(&self, attempt: u32) -> Self {
        let name = cut(&self.0, NUMBERED_BYTES);
        let number = Uuid::new_v4().as_u128() % 10_u128.pow(attempt + 1);
        Self(format!("{name}{number}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// As much of a text as fits into so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Model ids as they are kept: ascending, each once.
pub(crate) fn model_set(mut models: Vec<i32>) -> Result<Vec<i32>, Error> {
    models.sort_unstable();
    models.dedup();
    if models.len() > MODELS {
        return Err(Error::Invalid("a user may ask at most 1000 models"));
    }
    Ok(models)
}
