//! Reading an answer: the provider's text goes to the followers at once and to the thread in checkpoints.

use std::time::Duration;

use confab_rpc::Reason;
use confab_rpc::threads::CheckpointRequest;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
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

/// The first text is stored at once, then at most this often …
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(250);
/// … unless so much has come, in bytes.
const CHECKPOINT_BYTES: usize = 4 * 1024;

impl Engine {
    /// Reads an answer until the end or the stop, into the feed and into the thread. When it returns, the provider's
    /// stream is closed and all of the text is stored.
    pub(super) async fn answer(
        &self,
        run: &Run,
        answer: Answer,
        feed: &watch::Sender<Feed>,
        stop: &CancellationToken,
    ) -> Result<Read, Error> {
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
                    Ok(()) => Ok(read),
                    Err(error) => if_unwanted(error),
                }
            }
            // Storing ends first only when it fails.
            Either::Right((Err(error), _)) => if_unwanted(error),
            Either::Right((Ok(()), _)) => Err(Error::Interrupted),
        }
    }

    async fn read(&self, mut answer: Answer, feed: &watch::Sender<Feed>) -> Read {
        while let Some(piece) = answer.next().await {
            match piece {
                Ok(Piece::Text(text)) => {
                    if !self.grow(feed, text) {
                        return Read::Full;
                    }
                    #[cfg(feature = "faults")]
                    fail::fail_point!("mid_stream");
                }
                Ok(Piece::End(end)) => return Read::Ended(end),
                Err(error) => return Read::Failed(error),
            }
        }
        Read::Failed(ProviderError::Failed("the answer was cut".to_owned()))
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

    /// Keeps the thread's text up to date until all of it is stored.
    async fn store_text(&self, run: &Run, mut feed: watch::Receiver<Feed>) -> Result<(), Error> {
        let mut stored = 0;
        loop {
            let (text, whole) = {
                let feed = feed.borrow_and_update();
                (feed.text[stored..].to_owned(), feed.whole)
            };
            if !text.is_empty() {
                let length = text.len();
                self.checkpoint(run, stored, text).await?;
                stored += length;
                let full = stored + CHECKPOINT_BYTES;
                let more = feed.wait_for(|feed| feed.whole || feed.text.len() >= full);
                // Whether it was the time or the text that ended the pause shows in the feed.
                let _ = timeout(CHECKPOINT_PAUSE, more).await;
            } else if whole {
                return Ok(());
            } else if feed.changed().await.is_err() {
                return Err(Error::Interrupted);
            }
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
fn if_unwanted(error: Error) -> Result<Read, Error> {
    match error.reason() {
        Some(reason) if GONE.contains(&reason) => Ok(Read::Unwanted),
        Some(Reason::StaleWrite) => Err(Error::Interrupted),
        _ => Err(error),
    }
}
