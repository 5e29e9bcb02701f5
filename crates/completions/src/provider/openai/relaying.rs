//! An answer that is handed on as it is, event by event. Errors are noticed; all else is looked at by whoever takes it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;

use super::raw::{Body, Raw, RawReading};
use super::refusal::Refusal;
use crate::provider::fields::Fields;
use crate::provider::{Bill, Cause, Failure, ProviderError, Relay, Said};

/// How an error is called in an event, as a field or as an object's kind.
const ERROR: &str = "\"error\"";

/// What is left of an answer. Holds the connection: dropping it closes that.
pub(super) struct Relaying {
    raw: RawReading,
    /// It was asked for in events.
    streamed: bool,
    /// The whole answer was handed on.
    whole: bool,
    /// Something was handed on: nothing else is asked any more.
    begun: bool,
}

impl Relaying {
    pub(super) fn new(body: Body, streamed: bool) -> Self {
        Self {
            raw: RawReading::new(body),
            streamed,
            whole: false,
            begun: false,
        }
    }

    /// The next event, however long it takes.
    pub(super) async fn next(&mut self) -> Result<Said, Failure> {
        let data = match self.raw.next().await? {
            Raw::Event(data) => data,
            Raw::Whole(data) => {
                self.whole = true;
                data
            }
            Raw::Done => return Ok(Said::End(Bill::Unknown)),
            Raw::Over(_) if self.whole => return Ok(Said::End(Bill::Unknown)),
            Raw::Over(cause) => {
                let text = format!("the answer was cut: {cause}");
                return Err(Failure::new(Cause::Moment(None), text));
            }
        };
        // The others are looked into by whoever takes them.
        if !self.begun || data.contains(ERROR) {
            self.begun = true;
            check(&data)?;
        }
        // The caller could not read what it did not ask for, and would have to pay for it.
        if self.whole == self.streamed {
            let text = "it streamed what was to be whole, or the other way round";
            return Err(Failure::new(Cause::Provider, text));
        }
        Ok(Said::Data(data))
    }

    /// The answer from `first` on. Each further event may take `idle`.
    pub(super) fn into_relay(self, first: Said, idle: Duration) -> Relay {
        let rest = match first {
            Said::Data(_) => Some(self),
            Said::End(_) => None,
        };
        let rest = stream::unfold(rest, move |relaying| async move {
            let mut relaying = relaying?;
            let said = relaying.next_within(idle).await;
            let more = matches!(said, Ok(Said::Data(_))).then_some(relaying);
            Some((said, more))
        });
        stream::once(async { Ok(first) }).chain(rest).boxed()
    }

    async fn next_within(&mut self, idle: Duration) -> Result<Said, ProviderError> {
        match timeout(idle, self.next()).await {
            Ok(said) => said.map_err(|failure| failure.error),
            Err(_) => Err(ProviderError::Failed(format!(
                "no text for {} ms",
                idle.as_millis()
            ))),
        }
    }
}

/// That an event is an object, and does not say that something went wrong.
fn check(event: &str) -> Result<(), Failure> {
    let Some(fields) = Fields::parse(event.as_bytes()) else {
        return Err(Failure::new(Cause::Provider, "an event is no JSON object"));
    };
    let is_error = fields.get("error").is_some_and(|error| error != "null");
    if !is_error && fields.get("object") != Some(ERROR) {
        return Ok(());
    }
    let answer = serde_json::from_str(event).ok();
    match answer.and_then(|answer| Refusal::find(&answer)) {
        Some(refusal) => Err(refusal.in_answer()),
        None => Ok(()),
    }
}
