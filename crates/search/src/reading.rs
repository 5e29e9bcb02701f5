//! One thread while it is read into the index.

use confab_rpc::threads::{Message, MessageState};

use crate::store::{Progress, Space, Subject};

/// A thread as far as it is read.
pub(crate) struct Reading<'a> {
    pub(crate) space: &'a Space,
    pub(crate) thread: &'a Subject,
    /// What is in the index, or in `batch`.
    pub(crate) progress: Progress,
    /// What is in the index.
    pub(crate) stored: Option<Progress>,
    /// An answer that is still being written holds `progress` back: it is looked at again.
    held: bool,
    pub(crate) batch: Vec<Message>,
    /// Pieces of what is in the batch.
    pub(crate) texts: usize,
}

impl<'a> Reading<'a> {
    /// Goes on from what is stored: nothing of a thread that was never read, and then nothing that was deleted either.
    pub(crate) fn from(space: &'a Space, thread: &'a Subject, stored: Option<Progress>) -> Self {
        let nothing = Progress {
            seq: 0,
            deletions: thread.deletions,
        };
        Self {
            space,
            thread,
            progress: stored.unwrap_or(nothing),
            stored,
            held: false,
            batch: Vec::new(),
            texts: 0,
        }
    }

    /// Nothing that was deleted is in the index any more.
    pub(crate) fn pruned(&mut self) {
        self.progress.deletions = self.thread.deletions;
    }

    /// What is to be written with the batch, if there is anything to be written.
    pub(crate) fn due(&self) -> Option<Progress> {
        let due = !self.batch.is_empty() || self.stored != Some(self.progress);
        due.then_some(self.progress)
    }

    /// The batch is written.
    pub(crate) fn written(&mut self) {
        self.stored = Some(self.progress);
        self.batch.clear();
        self.texts = 0;
    }

    /// Takes the next message, of which so many texts need vectors.
    pub(crate) fn add(&mut self, message: Message, texts: usize) {
        let streaming = message.state() == MessageState::Streaming;
        self.held |= streaming;
        if !self.held {
            self.progress.seq = message.seq;
        }
        if texts > 0 && !streaming {
            self.texts += texts;
            self.batch.push(message);
        }
    }

    /// The log is read to its end: what was not told has been deleted.
    pub(crate) fn reach_end(&mut self) {
        if !self.held {
            self.progress.seq = self.progress.seq.max(self.thread.last_seq);
        }
    }
}
