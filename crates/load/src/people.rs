//! The people whose front ends put the load on: made anew for each load, as anybody registers.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    /// UUID.
    pub(crate) id: String,
    pub(crate) number: i64,
    pub(crate) token: String,
    /// When the token ends, in seconds of the Unix epoch.
    until: f64,
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

/// Registers so many people and signs them in, or takes those who are kept.
pub(crate) async fn make(stage: &Stage, count: usize) -> Result<Vec<Person>, LoadError> {
    let mut people = stage.people_file.as_deref().map_or_else(Vec::new, kept);
    let needed = now() + stage.plan.duration + AROUND;
    people.retain(|person| person.until > needed);
    people.truncate(count);
    let run = fastrand::u64(..);
    let made: Vec<Person> = stream::iter(people.len()..count)
        .map(|index| one(stage, format!("load-{run:016x}-{index}")))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    people.extend(made);
    if let Some(person) = people.iter().find(|person| person.until < needed) {
        let short = format!(
            "the target's access tokens are good for {:.0} s, which is too short for this load: raise its \
             sessions.sign_in.access_seconds",
            person.until - now()
        );
        return Err(LoadError::Plan(short));
    }
    if let Some(file) = &stage.people_file {
        keep(file, &people)?;
    }
    Ok(people)
}

/// Who is in a file; nobody when there is none.
fn kept(file: &Path) -> Vec<Person> {
    let kept = std::fs::read(file).unwrap_or_default();
    serde_json::from_slice(&kept).unwrap_or_default()
}

/// For nobody else to read: tokens are secrets.
fn keep(file: &Path, people: &[Person]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(file)?;
    file.write_all(&serde_json::to_vec(people).unwrap_or_default())
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

async fn one(stage: &Stage, username: String) -> Result<Person, LoadError> {
    let body = json!({ "username": username, "password": "a password for load" });
    let registered = patiently(stage, "/auth/register", &body).await?;
    // It may have been registered by an attempt whose answer was lost.
    if registered.status() != StatusCode::CONFLICT {
        accepted("registering", registered).await?;
    }
    let signed_in = patiently(stage, "/auth/login", &body).await?;
    let signed_in: SignedIn = accepted("signing in", signed_in).await?.json().await?;
    Ok(Person {
        id: signed_in.user.id,
        number: signed_in.user.number,
        token: signed_in.access,
        until: now() + signed_in.expires_in,
    })
}

/// So many sign-ins from one machine look like an attack to the target, or are too much for it: when it says so, it is
/// asked again when it says.
async fn patiently(stage: &Stage, path: &str, body: &Value) -> Result<Response, LoadError> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let request = stage.front_end.client().post(stage.front_end.url(0, path));
        let response = request.json(body).send().await?;
        let later = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if !later.contains(&response.status()) || Instant::now() > patience {
            return Ok(response);
        }
        let wait = response.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|it| it.to_str().ok()?.parse().ok());
        sleep(Duration::from_secs(wait.unwrap_or(1))).await;
    }
}
