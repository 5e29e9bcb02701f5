//! Reading an answer: the provider's text goes to the followers at once and to the thread in checkpoints.

use std::time::Duration;

use confab_rpc::Reason;
use confab_rpc::threads::CheckpointRequest;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt};
use std::pin::pin;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::receipt::Read;
use super::{Engine, without_nul};
use crate::backends::GONE;
use crate::error::Error;
use crate::provider::{Answer, Piece, ProviderError};
use crate::store::Run;

/// Text is stored this long after it came …
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(250);
/// … or as soon as there is so much of it, in bytes.
const CHECKPOINT_BYTES: usize = 4 * 1024;

/// Pieces that are there at the same time are shown together, up to so many bytes and a piece.
const SHOWN_BYTES: usize = 16 * 1024;

/// An answer that was read.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) read: Read,
    /// Whether its text is in the thread. That of a quick answer is not: it goes there with its end.
    pub(super) stored: bool,
}

impl Engine {
    /// Reads an answer until the end or the stop, into the feed and into the thread. When it returns, the provider's
    /// stream is closed and the text is stored, unless nothing of it was and it is complete.
    pub(super) async fn answer(
        &self,
        run: &Run,
        answer: Answer,
        feed: &watch::Sender<Feed>,
        stop: &CancellationToken,
    ) -> Result<Whole, Error> {
        let reading = pin!(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Read::Cancelled,
                read = self.read(answer, feed) => read,
            }
        });
        let storing = pin!(self.store_text(run, feed.subscribe()));
        match select(reading, storing).await {
            Either::Left((read, storing)) => {
                feed.send_modify(|feed| feed.whole = true);
                match storing.await {
                    Ok(0) if !read.is_complete() => self.store_all(run, read, feed).await,
                    Ok(stored) => Ok(Whole {
                        read,
                        stored: stored > 0,
                    }),
                    Err(error) => if_unwanted(error),
                }
            }
            // Storing ends first only when it fails.
            Either::Right((Err(error), _)) => if_unwanted(error),
            Either::Right((Ok(_), _)) => Err(Error::Interrupted),
        }
    }

    /// What came of an answer that was cut before any of it was stored.
    async fn store_all(
        &self,
        run: &Run,
        read: Read,
        feed: &watch::Sender<Feed>,
    ) -> Result<Whole, Error> {
        let text = feed.borrow().text.clone();
        if !text.is_empty()
            && let Err(error) = self.checkpoint(run, 0, text).await
        {
            return if_unwanted(error);
        }
        Ok(Whole { read, stored: true })
    }

    async fn read(&self, mut answer: Answer, feed: &watch::Sender<Feed>) -> Read {
        loop {
            let mut added = String::new();
            let mut next = answer.next().await;
            let end = loop {
                match next {
                    Some(Ok(Piece::Text(text))) => added.push_str(&text),
                    Some(Ok(Piece::End(end))) => break Some(Read::Ended(end)),
                    Some(Err(error)) => break Some(Read::Failed(error)),
                    None => {
                        let cut = ProviderError::Failed("the answer was cut".to_owned());
                        break Some(Read::Failed(cut));
                    }
                }
                if added.len() >= SHOWN_BYTES {
                    break None;
                }
                match answer.next().now_or_never() {
                    Some(more) => next = more,
                    None => break None,
                }
            };
            if !self.grow(feed, added) {
                return Read::Full;
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Adds text for everyone to see; false when that was all there is room for.
    fn grow(&self, feed: &watch::Sender<Feed>, text: String) -> bool {
        let text = without_nul(text);
        let room = self
            .settings
            .answer_bytes
            .saturating_sub(feed.borrow().text.len());
        let added = &text[..text.floor_char_boundary(room)];
        if !added.is_empty() {
            feed.send_modify(|feed| {
                feed.first_text_at.get_or_insert_with(|| self.clock.now());
                feed.text.push_str(added);
            });
        }
        added.len() == text.len()
    }

    /// Keeps the thread's text up to date until all of it is stored, and says how much that is. What was all there before
    /// anything was stored is left as it is.
    async fn store_text(&self, run: &Run, mut feed: watch::Receiver<Feed>) -> Result<usize, Error> {
        let mut stored = 0;
        loop {
            let some = feed.wait_for(|feed| feed.whole || feed.text.len() > stored);
            some.await.map_err(|_| Error::Interrupted)?;
            let full = stored + CHECKPOINT_BYTES;
            let enough = feed.wait_for(|feed| feed.whole || feed.text.len() >= full);
            // Whether it was the time or the text that ended the pause shows in the feed.
            let _ = timeout(CHECKPOINT_PAUSE, enough).await;
            let text = {
                let feed = feed.borrow_and_update();
                if feed.whole && (stored == 0 || feed.text.len() == stored) {
                    return Ok(stored);
                }
                feed.text[stored..].to_owned()
            };
            let length = text.len();
            self.checkpoint(run, stored, text).await?;
            stored += length;
        }
    }

    pub(super) async fn checkpoint(
        &self,
        run: &Run,
        offset: usize,
        text: String,
    ) -> Result<(), Error> {
        let request = CheckpointRequest {
            thread_id: run.thread_id.to_string(),
            message_id: run.answer_id.unwrap_or_default(),
            run_id: run.id.to_string(),
            fence: run.fence,
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            text,
            ..CheckpointRequest::default()
        };
        self.insist(|| self.backends.checkpoint(request.clone()))
            .await
            .map(drop)
    }
}

/// A thread that was removed wants no more text.
fn if_unwanted(error: Error) -> Result<Whole, Error> {
    match error.reason() {
        Some(reason) if GONE.contains(&reason) => Ok(Whole {
            read: Read::Unwanted,
            stored: true,
        }),
        Some(Reason::StaleWrite) => Err(Error::Interrupted),
        _ => Err(error),
    }
}
