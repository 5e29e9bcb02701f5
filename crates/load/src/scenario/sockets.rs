//! Sockets of people: opening many, and asking something on one.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::Stage;
use crate::LoadError;
use crate::dialect::{Dialect, Heard};
use crate::people::Person;
use crate::socket::Socket;

/// Connections that are being opened at a time.
const AT_ONCE: usize = 64;
/// How long a socket is tried again, and a confirmation waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the planned sockets, spread over people and gateways.
pub(super) async fn open(
    stage: &Stage,
    dialect: Dialect,
    people: &[Person],
) -> Result<Vec<Socket>, LoadError> {
    stream::iter(0..stage.plan.sockets)
        .map(|index| {
            let person = &people[index % people.len()];
            let turn = index / people.len();
            async move {
                stage.counts.begun.add(index);
                let socket = open_patiently(stage, turn, dialect, person).await?;
                stage.counts.done.add(index);
                Ok::<_, LoadError>(socket)
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// Opens a socket as a front end does: a target that says that it is too much is asked again after a second. Each time is
/// an error.
async fn open_patiently(
    stage: &Stage,
    turn: usize,
    dialect: Dialect,
    person: &Person,
) -> Result<Socket, LoadError> {
    let patience = Instant::now() + PATIENCE;
    loop {
        match open_one(stage, turn, dialect, person, "").await {
            Err(error) if error.is_busy() && Instant::now() < patience => {
                stage.checks.error(&error);
                sleep(Duration::from_secs(1)).await;
            }
            opened => return opened,
        }
    }
}

/// Opens a person's socket on the gateway whose turn it is; `more` goes into the query (`&resume=…`).
pub(super) async fn open_one(
    stage: &Stage,
    turn: usize,
    dialect: Dialect,
    person: &Person,
    more: &str,
) -> Result<Socket, LoadError> {
    let path = format!("{}?token={}{more}", dialect.path(), person.token);
    Socket::open(&stage.front_end.socket_url(turn, &path)).await
}

/// Sends a request and waits for its reply in a language where `type` says what a frame is.
pub(super) async fn call(
    socket: &mut Socket,
    request: String,
    reply: &Value,
) -> Result<Value, LoadError> {
    socket.send(request).await?;
    loop {
        let text = socket.text().await?;
        let frame: Value = serde_json::from_str(&text)
            .map_err(|error| LoadError::Reply(format!("{error}: {text}")))?;
        if frame["type"] == *reply {
            return Ok(frame);
        }
        if frame["type"] == "error" || frame.get("error").is_some() {
            return Err(LoadError::Reply(text.to_string()));
        }
    }
}

/// What a frame said, owned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) thread: i64,
    pub(super) seq: i64,
    pub(super) id: i64,
}

/// Sends the frame of a text and waits until it is confirmed; not for ever, as a confirmation that got lost is an error.
pub(super) async fn say(
    socket: &mut Socket,
    dialect: Dialect,
    frame: String,
    text: &str,
) -> Result<Sent, LoadError> {
    let confirmed = async {
        socket.send(frame).await?;
        loop {
            let frame = socket.text().await?;
            let Heard {
                text: heard,
                thread,
                seq,
                id,
            } = dialect.hear(&frame)?;
            if heard.as_deref() == Some(text) {
                return Ok(Sent { thread, seq, id });
            }
        }
    };
    let late = |_| Err(LoadError::Reply(format!("no confirmation of {text:?}")));
    timeout(PATIENCE, confirmed).await.unwrap_or_else(late)
}
