//! Secrets that say nothing: refresh tokens and tickets. What is kept of one is its hash.

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
}

impl Use {
    fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "refresh_",
            Self::Ticket => "ticket_",
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

/// What is kept of a secret, and what it is found by. As the secret is random, its hash needs no salt.
pub(crate) fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}
