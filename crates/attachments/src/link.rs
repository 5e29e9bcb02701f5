//! Links that let anyone who has one read one file for a while.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::Error;

/// Bytes of the secret that signs links.
pub(crate) const SECRET_BYTES: usize = 32;

/// The longest time a link is good for, in seconds.
const MAX_LIFETIME_SECONDS: u32 = 3600;

/// Signs links and recognises its own. Has the key inside and shows it nowhere.
#[derive(Clone)]
pub(crate) struct LinkKey(Hmac<Sha256>);

impl LinkKey {
    pub(crate) fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..SECRET_BYTES].copy_from_slice(secret);
        Self(Hmac::new(&block))
    }

    /// The query of a link to the file of this name that is good until `expires`, in Unix seconds.
    pub(crate) fn query(&self, name: &str, expires: i64) -> String {
        let mac = self.keyed(name, expires).finalize().into_bytes();
        let signature = BASE64_URL_SAFE_NO_PAD.encode(mac);
        format!("expires={expires}&signature={signature}")
    }

    /// Whether a link with these parts was made here and is still good at `now`, in Unix seconds.
    pub(crate) fn verify(
        &self,
        name: &str,
        expires: i64,
        mac: &str,
        now: i64,
    ) -> Result<(), Error> {
        let mac = BASE64_URL_SAFE_NO_PAD
            .decode(mac)
            .map_err(|_| Error::SignatureInvalid)?;
        self.keyed(name, expires)
            .verify_slice(&mac)
            .map_err(|_| Error::SignatureInvalid)?;
        if now >= expires {
            return Err(Error::SignatureInvalid);
        }
        Ok(())
    }

    fn keyed(&self, name: &str, expires: i64) -> Hmac<Sha256> {
        self.0
            .clone()
            .chain_update(name)
            .chain_update("\n")
            .chain_update(expires.to_string())
    }
}

/// When a link made at `now` ends, in Unix seconds.
pub(crate) fn expiry(now: i64, lifetime_seconds: u32) -> Result<i64, Error> {
    if !(1..=MAX_LIFETIME_SECONDS).contains(&lifetime_seconds) {
        return Err(Error::Invalid("lifetime_seconds must be from 1 to 3600"));
    }
    Ok(now + i64::from(lifetime_seconds))
}
