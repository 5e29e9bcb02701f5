//! An answer as the stream that this language's front ends can read: they take every chunk of the network for exactly one
//! event. So each event is a write of its own, and there is a pause between two of them in which text is collected.

use std::pin::Pin;
use std::time::Duration;

use actix_web::web::Bytes;
use confab_rpc::Fault;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::sleep;

use super::answer::Piece;
use super::fault::{self, Problem};
use super::wire::Chunk;

/// The least time between two events. The front ends lost events at 1 ms and none at 3 ms.
const GAP: Duration = Duration::from_millis(8);

/// Collected text that is sent without waiting for more, in bytes.
const EVENT_BYTES: usize = 64 * 1024;

const DONE: &str = "data: [DONE]\n\n";

const ANEW: &str =
    "the answer was begun anew and is another one: it can be read from the conversation";

/// The events of an answer, as a body. What is not polled is not read either.
pub(super) fn paced<S>(
    message: i64,
    pieces: S,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>>
where
    S: Stream<Item = Result<Piece, Fault>>,
{
    let paced = Paced {
        message,
        pieces: Box::pin(pieces),
        text: Text::default(),
        end: None,
        pause: Duration::ZERO,
    };
    futures_util::stream::unfold(Some(paced), |paced| async move {
        let mut paced = paced?;
        let (event, over) = paced.next().await;
        Some((Ok(Bytes::from(event)), (!over).then_some(paced)))
    })
}

struct Paced<S> {
    message: i64,
    pieces: Pin<Box<S>>,
    text: Text,
    end: Option<Result<(), Problem>>,
    /// Before the next event.
    pause: Duration,
}

impl<S: Stream<Item = Result<Piece, Fault>>> Paced<S> {
    /// The next event, and whether it is the last one.
    async fn next(&mut self) -> (String, bool) {
        // It begins when more is asked for. Had it begun with the event before, a process that is held up could find it over by
        // now, and put both into one write.
        sleep(self.pause).await;
        self.collect().await;
        self.pause = GAP;
        let text = self.text.take();
        if !text.is_empty() {
            return (event(&Chunk::new(self.message, text)), false);
        }
        match &self.end {
            Some(Err(problem)) => (format!("data: {}\n\n", problem.event()), true),
            Some(Ok(())) | None => (DONE.to_owned(), true),
        }
    }

    /// Waits for something to say, and takes whatever else is there by then.
    async fn collect(&mut self) {
        while self.end.is_none() && self.text.unsent() < EVENT_BYTES {
            let piece = if self.text.unsent() == 0 {
                self.pieces.next().await
            } else {
                match self.pieces.next().now_or_never() {
                    Some(piece) => piece,
                    None => return,
                }
            };
            self.end = self.put(piece);
        }
    }

    /// How the answer ends with this piece, if it does.
    fn put(&mut self, piece: Option<Result<Piece, Fault>>) -> Option<Result<(), Problem>> {
        let same = match piece {
            Some(Ok(Piece::Text { text, .. })) => self.text.push(&text),
            Some(Ok(Piece::Restarted)) => {
                self.text.restart();
                Ok(())
            }
            Some(Ok(Piece::Done(finished))) => {
                let answer = finished.answer.unwrap_or_default();
                let whole = self.text.finish(&answer.content);
                return Some(whole.map_err(|Differs| begun_anew()));
            }
            Some(Err(fault)) => return Some(Err(fault.into())),
            None => return Some(Ok(())),
        };
        same.err().map(|Differs| Err(begun_anew()))
    }
}

fn begun_anew() -> Problem {
    Problem::provider(ANEW)
}

fn event(chunk: &Chunk) -> String {
    format!("data: {}\n\n", fault::json(chunk))
}

/// A new text is not what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differs;

/// What was sent of an answer, and what waits. It is kept to compare it with an answer that was begun anew; the
/// completions service bounds its length.
#[derive(Debug, Default)]
pub(super) struct Text {
    all: String,
    /// Bytes of `all` that were sent.
    sent: usize,
    /// Of an answer that was begun anew: how many bytes of it are the same as `all`.
    same: Option<usize>,
}

impl Text {
    pub(super) fn push(&mut self, text: &str) -> Result<(), Differs> {
        let Some(same) = self.same else {
            self.all.push_str(text);
            return Ok(());
        };
        let known = &self.all.as_bytes()[same..];
        let compared = known.len().min(text.len());
        if known[..compared] != text.as_bytes()[..compared] {
            return Err(Differs);
        }
        self.same = Some(same + compared).filter(|same| *same < self.all.len());
        if self.same.is_none() {
            self.all.push_str(text.get(compared..).unwrap_or_default());
        }
        Ok(())
    }

    /// What comes from now on is another attempt; what was not sent is forgotten.
    pub(super) fn restart(&mut self) {
        self.all.truncate(self.sent);
        self.same = (self.sent > 0).then_some(0);
    }

    /// The stored answer is there: what is missing of it is added.
    pub(super) fn finish(&mut self, whole: &str) -> Result<(), Differs> {
        let known = self.same.unwrap_or(self.all.len());
        if let Some(rest) = whole.get(known..) {
            self.push(rest)?;
        }
        self.same.map_or(Ok(()), |_| Err(Differs))
    }

    pub(super) fn take(&mut self) -> String {
        let text = self.all[self.sent..].to_owned();
        self.sent = self.all.len();
        text
    }

    fn unsent(&self) -> usize {
        self.all.len() - self.sent
    }
}
