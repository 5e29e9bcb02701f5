//! The same ask once more: it is shown the run of the first.

use std::sync::Arc;

use super::Engine;
use super::feed::Follower;
use super::question::Question;
use crate::error::Error;

/// What is known of an ask's key.
pub(super) enum Earlier {
    /// Nothing.
    None,
    /// An ask with it is under way and may still be refused.
    Beginning,
    /// It has its run.
    Run(Follower),
}

impl Engine {
    /// The run that the question's key belongs to.
    pub(super) async fn earlier(self: &Arc<Self>, question: &Question) -> Result<Earlier, Error> {
        let Some(key) = &question.key else {
            return Ok(Earlier::None);
        };
        let Some(run) = self.store.by_key(question.user_id, key).await? else {
            return Ok(Earlier::None);
        };
        if run.fingerprint.as_deref() != Some(&question.fingerprint()) {
            return Err(Error::KeyReused);
        }
        let run = self.placed(run).await?;
        if run.answer_id.is_none() {
            return Ok(Earlier::Beginning);
        }
        let run_id = run.id;
        if let Some(feed) = self.feed_of(run).await? {
            return Ok(Earlier::Run(Follower::new(feed, true)));
        }
        // What the key stood for was removed with its thread.
        self.store.forget_key(run_id).await?;
        Ok(Earlier::None)
    }
}
