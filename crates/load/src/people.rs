//! The people whose front ends put the load on: made anew for each load, as anybody registers.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::LoadError;
use crate::front_end::accepted;
use crate::scenario::Stage;

/// Registrations and sign-ins at a time; each costs the target a password hash.
const AT_ONCE: usize = 4;
/// How long a throttled sign-in is tried again.
const PATIENCE: Duration = Duration::from_mins(2);
/// What getting ready and ending may take besides the load itself, in seconds.
const AROUND: f64 = 60.0;

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
    /// Seconds.
    expires_in: f64,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
    number: i64,
}

/// Registers so many people and signs them in.
pub(crate) async fn make(stage: &Stage, count: usize) -> Result<Vec<Person>, LoadError> {
    let run = fastrand::u64(..);
    stream::iter(0..count)
        .map(|index| one(stage, format!("load-{run:016x}-{index}")))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

async fn one(stage: &Stage, username: String) -> Result<Person, LoadError> {
    let body = json!({ "username": username, "password": "a password for load" });
    let registered = stage
        .front_end
        .post("registering", "/auth/register", None, &body);
    let _: Value = registered.await?;
    let signed_in = sign_in(stage, &body).await?;
    if signed_in.expires_in < stage.plan.duration + AROUND {
        let short = format!(
            "the target's access tokens are good for {} s, which is too short for this load: raise its \
             sessions.sign_in.access_seconds",
            signed_in.expires_in
        );
        return Err(LoadError::Plan(short));
    }
    Ok(Person {
        id: signed_in.user.id,
        number: signed_in.user.number,
        token: signed_in.access,
    })
}

/// So many sign-ins from one machine look like an attack to the target: when it says so, it is asked again when it says.
async fn sign_in(stage: &Stage, body: &Value) -> Result<SignedIn, LoadError> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let url = stage.front_end.url(0, "/auth/login");
        let request = stage.front_end.client().post(url).json(body);
        let response = request.send().await?;
        if response.status() != StatusCode::TOO_MANY_REQUESTS || Instant::now() > patience {
            return Ok(accepted("signing in", response).await?.json().await?);
        }
        let wait = response.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|it| it.to_str().ok()?.parse().ok());
        sleep(Duration::from_secs(wait.unwrap_or(1))).await;
    }
}
