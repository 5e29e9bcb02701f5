//! An answer to a prompt, read piece by piece: the text, how it ended, what it took.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::timeout;

use super::raw::{Body, Raw, RawReading};
use super::told::Told;
use crate::provider::{Answer, Bill, Cause, End, Failure, Piece, ProviderError};

/// The longest finish reason that is kept.
const REASON_CHARS: usize = 64;

/// What is left of an answer. Holds the connection: dropping it closes that.
pub(super) struct Reading {
    raw: RawReading,
    bill: Bill,
    /// Why the model has finished; empty when it did without a word for it.
    finished: Option<String>,
}

impl Reading {
    pub(super) fn new(body: Body) -> Self {
        Self {
            raw: RawReading::new(body),
            bill: Bill::Unknown,
            finished: None,
        }
    }

    /// The next piece, however long it takes.
    pub(super) async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            match self.raw.next().await? {
                Raw::Event(data) => {
                    let told = Told::read(&data)
                        .ok_or_else(|| Failure::new(Cause::Provider, "an event is not JSON"))?;
                    if let Some(text) = self.take(told)? {
                        return Ok(Piece::Text(text));
                    }
                }
                Raw::Whole(text) => {
                    let told = Told::read(&text)
                        .ok_or_else(|| Failure::new(Cause::Provider, "the answer is not JSON"))?;
                    let text = self.take(told)?;
                    if let Some(text) = text {
                        self.finished.get_or_insert_default();
                        return Ok(Piece::Text(text));
                    }
                }
                Raw::Done => return Ok(self.end()),
                // Some servers hang up when the model has finished, without saying that they are done.
                Raw::Over(_) if self.finished.is_some() => return Ok(self.end()),
                Raw::Over(cause) => {
                    let text = format!("the answer was cut: {cause}");
                    return Err(Failure::new(Cause::Moment(None), text));
                }
            }
        }
    }

    /// The answer from `first` on. Each further piece may take `idle`.
    pub(super) fn into_answer(self, first: Piece, idle: Duration) -> Answer {
        let rest = match first {
            Piece::Text(_) => Some(self),
            Piece::End(_) => None,
        };
        let rest = stream::unfold(rest, move |reading| async move {
            let mut reading = reading?;
            let piece = reading.next_within(idle).await;
            let more = matches!(piece, Ok(Piece::Text(_))).then_some(reading);
            Some((piece, more))
        });
        stream::once(async { Ok(first) }).chain(rest).boxed()
    }

    async fn next_within(&mut self, idle: Duration) -> Result<Piece, ProviderError> {
        match timeout(idle, self.next()).await {
            Ok(piece) => piece.map_err(|failure| failure.error),
            Err(_) if self.finished.is_some() => Ok(self.end()),
            Err(_) => Err(ProviderError::Failed(format!(
                "no text for {} ms",
                idle.as_millis()
            ))),
        }
    }

    /// The text of an event or of a whole answer.
    fn take(&mut self, told: Told) -> Result<Option<String>, Failure> {
        if let Some(refusal) = told.refusal {
            return Err(refusal.in_answer());
        }
        self.bill = told.bill.unwrap_or(self.bill);
        if let Some(reason) = told.finish_reason {
            self.finished = Some(reason.chars().take(REASON_CHARS).collect());
        }
        Ok(told.text)
    }

    fn end(&self) -> Piece {
        Piece::End(End {
            bill: self.bill,
            finish_reason: self.finished.clone().filter(|reason| !reason.is_empty()),
        })
    }
}
