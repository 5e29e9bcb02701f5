//! Secrets that say nothing: refresh tokens, tickets and API keys. What is kept of one is its hash.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::error::Error;

const BYTES: usize = 32;

/// What an opaque secret is for; its first letters say so, which lets scanners of source code and logs find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Gets new tokens.
    Refresh,
    /// Opens one socket.
    Ticket,
    /// Asks for a user's program.
    ApiKey,
}

impl Use {
    fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "refresh_",
            Self::Ticket => "ticket_",
            Self::ApiKey => "sk-confab-",
        }
    }

    /// A new secret of 256 bits.
    pub(crate) fn generate(self) -> Result<SecretString, Error> {
        let mut random = [0; BYTES];
        rand::fill(&mut random).map_err(|_| Error::NoRandomness)?;
        let text = BASE64_URL_SAFE_NO_PAD.encode(random);
        Ok(format!("{}{text}", self.prefix()).into())
    }

    /// Whether a text may be a secret for this use.
    pub(crate) fn is_of(self, text: &str) -> bool {
        text.starts_with(self.prefix())
    }
}

/// What is kept of a secret, and what it is found by.
///
/// A secret is 256 random bits: nobody guesses it, so its hash needs neither salt nor the cost that a password's has. It
/// is compared by the index that finds it; how long that takes tells of the hash, which says nothing about the secret.
pub(crate) fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}
