//! Reads a thread's messages, a page at a time.

use confab_rpc::threads::{ListMessagesRequest, Message};
use uuid::Uuid;

use crate::backends::Backends;
use crate::context::{Exchanges, turn};
use crate::error::Error;
use crate::window::Window;

/// Messages of one page, at most.
const PAGE: u32 = 500;

/// A part of a thread's log, read for one of its members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) user_id: Uuid,
    pub(crate) thread_id: Uuid,
    /// Only messages after this one.
    pub(crate) after_seq: i64,
    /// Only messages before this one; 0: to the end.
    pub(crate) before_seq: i64,
}

impl Span {
    /// The newest messages that count as context, oldest first: at most `limit`, and not many more than `tokens` hold.
    pub(crate) async fn exchanges(
        self,
        backends: &Backends,
        limit: usize,
        tokens: u32,
    ) -> Result<Vec<Message>, Error> {
        let (exchanges, _) = self
            .collect(backends, Exchanges::default(), limit, tokens)
            .await?;
        Ok(exchanges.newest(limit))
    }

    /// The same as a model reads it.
    pub(crate) async fn window(
        self,
        backends: &Backends,
        limit: usize,
        tokens: u32,
    ) -> Result<Window, Error> {
        let (exchanges, all) = self
            .collect(backends, Exchanges::default(), limit, tokens)
            .await?;
        Ok(Window {
            settled: exchanges.are_settled(),
            most_tokens: if all { u32::MAX } else { tokens },
            turns: exchanges.newest(limit).iter().map(turn).collect(),
        })
    }

    /// The newest messages that are conversation, oldest first, with questions that nobody answered: not many more than
    /// `tokens` hold.
    pub(crate) async fn conversation(
        self,
        backends: &Backends,
        tokens: u32,
    ) -> Result<Vec<Message>, Error> {
        let limit = usize::MAX;
        let (exchanges, _) = self
            .collect(backends, Exchanges::with_questions(), limit, tokens)
            .await?;
        Ok(exchanges.newest(limit))
    }

    /// Also says whether they are all there are, up to the limit.
    async fn collect(
        self,
        backends: &Backends,
        mut exchanges: Exchanges,
        limit: usize,
        tokens: u32,
    ) -> Result<(Exchanges, bool), Error> {
        // Failed exchanges are left out, so a few more than wanted are read at once.
        let page = u32::try_from(limit).unwrap_or(PAGE).saturating_mul(2);
        let mut before_seq = self.before_seq;
        loop {
            let request = ListMessagesRequest {
                before_seq,
                newest: true,
                limit: page.clamp(20, PAGE),
                ..self.request()
            };
            let read = backends.messages(request).await?;
            before_seq = read.messages.first().map_or(0, |message| message.seq);
            for message in read.messages.into_iter().rev() {
                exchanges.take(message);
            }
            let all = exchanges.len() >= limit || !read.more || before_seq == 0;
            if all || exchanges.tokens() > tokens {
                return Ok((exchanges, all));
            }
        }
    }

    /// Looks at every message, oldest first, until `found` is.
    pub(crate) async fn find<T>(
        self,
        backends: &Backends,
        mut found: impl FnMut(Message) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut after_seq = self.after_seq;
        loop {
            let request = ListMessagesRequest {
                after_seq,
                limit: PAGE,
                ..self.request()
            };
            let read = backends.messages(request).await?;
            let Some(last) = read.messages.last() else {
                return Ok(None);
            };
            after_seq = last.seq;
            if let Some(found) = read.messages.into_iter().find_map(&mut found) {
                return Ok(Some(found));
            }
            if !read.more {
                return Ok(None);
            }
        }
    }

    fn request(self) -> ListMessagesRequest {
        ListMessagesRequest {
            user_id: self.user_id.to_string(),
            thread_id: self.thread_id.to_string(),
            after_seq: self.after_seq,
            before_seq: self.before_seq,
            newest: false,
            limit: PAGE,
        }
    }
}
