//! The messages of one thread as the body of an answer, newest first.
//!
//! A conversation is answered whole, however long it is, and twice in one envelope (`data` and `entity`). It is never
//! held whole: it is read page by page as the client takes it, and what goes beyond the first page is read again for the
//! second time. History only grows at its other end, so both times it is the same.

use actix_web::HttpResponse;
use bytes::Bytes;
use confab_rpc::Fault;
use confab_rpc::sessions::Profile;
use confab_rpc::threads::{EntryKind, ListHistoryRequest};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use std::sync::Arc;
use uuid::Uuid;

use super::wire::Pair;
use crate::backends::Backends;

/// What `ListHistory` gives at most at a time.
const PAGE: usize = 500;

/// Which messages are listed.
#[derive(Clone)]
pub(super) struct Listing {
    pub(super) backends: Backends,
    pub(super) viewer: Uuid,
    pub(super) own: Arc<Profile>,
    pub(super) other: Arc<Profile>,
    pub(super) whose: Whose,
    /// Empty: every kind of message.
    pub(super) kinds: Vec<EntryKind>,
}

/// In which thread.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// The one with the other user.
    Pair,
    Thread(i64),
}

/// How the list stands in `data` and `entity`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
}

/// Where to go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// Only what is older than this message; 0: from the newest.
    pub(super) before: i64,
    /// How many more are wanted; `None`: all.
    pub(super) left: Option<usize>,
}

/// Messages as JSON, each with a comma behind it, and where to go on.
struct Page {
    rendered: String,
    next: Option<Cursor>,
}

impl Listing {
    /// The answer. What goes wrong with the first page is still answered in order; later, the connection breaks off.
    pub(super) async fn respond(
        self,
        from: Cursor,
        frame: Frame,
        message: &str,
    ) -> Result<HttpResponse, Fault> {
        let Page { rendered, next } = self.page(from).await?;
        let first = rendered.strip_suffix(',').unwrap_or(&rendered);
        let Frame { open, close } = frame;
        let head = [r#"{"status":"success","data":"#, open, first];
        let middle = [close, r#","entity":"#, open, first];
        // A text always becomes JSON.
        let message = serde_json::to_string(message).unwrap_or_default();
        let tail = [close, r#","message":"#, &message, r#","success":true}"#];
        let mut response = HttpResponse::Ok();
        response.content_type("application/json");
        let Some(next) = next else {
            let parts = [&head[..], &middle, &tail];
            return Ok(response.body(parts.concat().concat()));
        };
        let part = |parts: &[&str]| stream::iter([Ok::<_, Fault>(Bytes::from(parts.concat()))]);
        let body = part(&head)
            .chain(self.clone().rest(next))
            .chain(part(&middle))
            .chain(self.rest(next))
            .chain(part(&tail));
        Ok(response.streaming(body))
    }

    /// Everything after the first page, each message with a comma before it.
    fn rest(self, from: Cursor) -> impl Stream<Item = Result<Bytes, Fault>> {
        stream::try_unfold((self, Some(from)), |(listing, next)| async move {
            let Some(from) = next else {
                return Ok(None);
            };
            let page = listing.page(from).await?;
            let text = page
                .rendered
                .strip_suffix(',')
                .map(|text| format!(",{text}"));
            Ok(Some((text, (listing, page.next))))
        })
        .try_filter_map(async |text| Ok(text.map(Bytes::from)))
    }

    async fn page(&self, from: Cursor) -> Result<Page, Fault> {
        let limit = from.left.map_or(PAGE, |left| left.min(PAGE));
        let mut page = Page {
            rendered: String::new(),
            next: None,
        };
        if limit == 0 {
            return Ok(page);
        }
        let (thread, other_id) = match self.whose {
            Whose::Pair => (0, self.other.user_id.clone()),
            Whose::Thread(number) => (number, String::new()),
        };
        let request = ListHistoryRequest {
            user_id: self.viewer.to_string(),
            thread,
            other_id,
            before_message_id: from.before,
            kinds: self.kinds.iter().map(|kind| (*kind).into()).collect(),
            newest: true,
            limit: u32::try_from(limit).unwrap_or(0),
            ..Default::default()
        };
        let history = self.backends.people().list_history(request).await?;
        let history = history.into_inner();
        let pair = Pair::seen_by(self.viewer, &self.own, &self.other);
        for entry in history.entries.iter().rev() {
            if let Some(message) = pair.render(entry) {
                page.rendered.push_str(&message);
                page.rendered.push(',');
            }
        }
        let left = from
            .left
            .map(|left| left.saturating_sub(history.entries.len()));
        page.next = history
            .entries
            .first()
            .filter(|_| history.more && left != Some(0))
            .map(|oldest| Cursor {
                before: oldest.id,
                left,
            });
        Ok(page)
    }
}
