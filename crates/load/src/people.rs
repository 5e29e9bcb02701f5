//! The people whose front ends put the load on: made anew for each load, as anybody registers.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::LoadError;
use crate::front_end::FrontEnd;

/// Registrations and sign-ins at a time; each costs the target a password hash.
const AT_ONCE: usize = 4;
/// How often a throttled sign-in is tried again, once a second.
const THROTTLED: usize = 120;

/// Somebody with an access token.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// UUID.
    pub(crate) id: String,
    pub(crate) number: i64,
    pub(crate) token: String,
}

#[derive(Deserialize)]
struct SignedIn {
    access: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
    number: i64,
}

/// Registers so many people and signs them in.
pub(crate) async fn make(front_end: &FrontEnd, count: usize) -> Result<Vec<Person>, LoadError> {
    let run = fastrand::u64(..);
    stream::iter(0..count)
        .map(|index| one(front_end, format!("load-{run:016x}-{index}")))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn one(front_end: &FrontEnd, username: String) -> Result<Person, LoadError> {
    let body = json!({ "username": username, "password": "a password for load" });
    let _: Value = front_end
        .post("registering", "/auth/register", None, &body)
        .await?;
    let signed_in = sign_in(front_end, &body).await?;
    Ok(Person {
        id: signed_in.user.id,
        number: signed_in.user.number,
        token: signed_in.access,
    })
}

/// So many sign-ins from one machine look like an attack to the target: it is asked again when it says so.
async fn sign_in(front_end: &FrontEnd, body: &Value) -> Result<SignedIn, LoadError> {
    for _ in 0..THROTTLED {
        let signed_in = front_end.post("signing in", "/auth/login", None, body);
        match signed_in.await {
            Err(LoadError::Refused { status: 429, .. }) => sleep(Duration::from_secs(1)).await,
            signed_in => return signed_in,
        }
    }
    let wait = "the target throttles sign-ins (sessions.sign_in) for more than two minutes";
    Err(LoadError::Reply(wait.to_owned()))
}
