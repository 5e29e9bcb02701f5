//! What is searched for, where, and for whom.

use confab_rpc::search::FindRequest;
use uuid::Uuid;

use crate::error::Error;

const QUERY_BYTES: usize = 8 * 1024;
const LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

/// A search.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) user: Uuid,
    pub(crate) text: String,
    /// Hits, at most.
    pub(crate) limit: usize,
    /// Only in this thread; none: in all.
    pub(crate) thread: Option<Uuid>,
}

impl TryFrom<FindRequest> for Query {
    type Error = Error;

    fn try_from(request: FindRequest) -> Result<Self, Error> {
        let user = request.user_id.parse();
        let user = user.map_err(|_| Error::Invalid("user_id must be a UUID"))?;
        let text = request.query;
        if text.trim().is_empty() || text.len() > QUERY_BYTES {
            return Err(Error::Invalid("query must be 1 byte to 8 KiB of text"));
        }
        let limit = match usize::try_from(request.limit) {
            Ok(0) => LIMIT,
            Ok(limit) if limit <= MAX_LIMIT => limit,
            _ => return Err(Error::Invalid("limit must be at most 100")),
        };
        let thread = match request.thread_id.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| Error::ThreadNotFound)?),
        };
        Ok(Self {
            user,
            text,
            limit,
            thread,
        })
    }
}
