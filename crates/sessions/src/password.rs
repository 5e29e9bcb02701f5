//! Passwords: which are good enough, how they are kept, how one is compared.

use std::sync::Arc;
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::error::{Error, OpenError};

const LEAST_BYTES: usize = 8;
const MOST_BYTES: usize = 256;

/// OWASP's choice for argon2id: KiB of memory, passes, lanes.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Those that everybody tries first, of the length that is allowed, in lower case.
const COMMONEST: [&str; 32] = [
    "00000000",
    "11111111",
    "12341234",
    "12344321",
    "123123123",
    "12345678",
    "123456789",
    "1234567890",
    "1q2w3e4r",
    "1qaz2wsx",
    "87654321",
    "987654321",
    "a1234567",
    "aa123456",
    "abc12345",
    "abcd1234",
    "admin123",
    "asdfghjkl",
    "baseball",
    "football",
    "iloveyou",
    "letmein1",
    "password",
    "password1",
    "password123",
    "passw0rd",
    "princess",
    "qwerty12",
    "qwerty123",
    "qwertyuiop",
    "sunshine",
    "welcome1",
];

/// A password that a user may choose.
pub(crate) struct Password(SecretString);

impl Password {
    /// Its bytes are kept as they are. It must not be what an attacker tries first for this user.
    pub(crate) fn choose(text: String, username: &str, email: Option<&str>) -> Result<Self, Error> {
        let password = SecretString::from(text);
        let text = password.expose_secret();
        if text.len() < LEAST_BYTES || text.len() > MOST_BYTES {
            return Err(Error::Invalid("a password must be 8 to 256 bytes"));
        }
        let lower = text.to_lowercase();
        if lower == username.to_lowercase()
            || email.is_some_and(|email| lower == email.to_lowercase())
        {
            return Err(Error::Invalid(
                "the password must not be the name or the e-mail address",
            ));
        }
        if COMMONEST.contains(&lower.as_str()) {
            return Err(Error::Invalid("this password is one of the commonest"));
        }
        Ok(Self(password))
    }
}

/// Makes and compares hashes, as many at a time as the machine has cores: each takes memory and a core.
#[derive(Clone)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// Compared with when there is no user, so that this takes as long as when there is one.
    nobodys: Arc<str>,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, OpenError> {
        let (memory, passes, lanes) = COST;
        let params = Params::new(memory, passes, lanes, None)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobodys = argon2.hash_password(b"")?.to_string();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            argon2,
            turns: Arc::new(Semaphore::new(cores)),
            nobodys: nobodys.into(),
        })
    }

    /// The PHC string (argon2id) to keep.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        let argon2 = self.argon2.clone();
        let hashed = self.in_turn(move || {
            let bytes = password.0.expose_secret().as_bytes();
            argon2.hash_password(bytes).map(|hash| hash.to_string())
        });
        hashed.await?.map_err(Error::Hashing)
    }

    /// Whether the password is the one that was kept. Without one it is not, after the same work.
    pub(crate) async fn is_right(
        &self,
        password: SecretString,
        kept: Option<String>,
    ) -> Result<bool, Error> {
        let argon2 = self.argon2.clone();
        let nobodys = Arc::clone(&self.nobodys);
        self.in_turn(move || {
            let text = kept.as_deref().unwrap_or(&nobodys);
            let hash = PasswordHash::new(text).map_err(|_| Error::UnreadableHash)?;
            let given = password.expose_secret();
            // None that is longer was ever chosen, and hashing it is work that a stranger would choose.
            let given = if given.len() > MOST_BYTES { "" } else { given };
            let same = argon2.verify_password(given.as_bytes(), &hash).is_ok();
            Ok(same && kept.is_some())
        })
        .await?
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            // The turn ends with the work: who waits for it may have gone before.
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| Error::Interrupted)
    }
}
