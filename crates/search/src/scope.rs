//! What one search looks at: the user's threads as they are now.

use std::collections::HashMap;

use confab_rpc::threads::Thread;
use uuid::Uuid;

use crate::backends::{Backends, THREADS};
use crate::error::Error;
use crate::query::Query;
use crate::store::Subject;

/// The threads of a search.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The last active first.
    pub(crate) subjects: Vec<Subject>,
    /// Ascending.
    pub(crate) ids: Vec<Uuid>,
    /// Whether these are all the user has.
    pub(crate) whole: bool,
    threads: HashMap<Uuid, Thread>,
}

impl Scope {
    /// Reads them. One that was asked for by its id must be there.
    pub(crate) async fn of(query: &Query, backends: &Backends) -> Result<Self, Error> {
        let threads = match query.thread {
            Some(id) => vec![backends.thread(query.user, id).await?],
            None => backends.threads(query.user).await?,
        };
        let whole = threads.len() < THREADS;
        let subjects = threads.iter().filter_map(subject).collect::<Vec<_>>();
        let mut ids: Vec<Uuid> = subjects.iter().map(|subject| subject.id).collect();
        ids.sort_unstable();
        let threads = threads.into_iter().filter_map(|thread| {
            let id = thread.id.parse().ok()?;
            Some((id, thread))
        });
        Ok(Self {
            threads: threads.collect(),
            subjects,
            ids,
            whole,
        })
    }

    pub(crate) fn thread(&self, id: Uuid) -> Option<&Thread> {
        self.threads.get(&id)
    }
}

/// `None` for an id that is no UUID, which threads never gives.
pub(crate) fn subject(thread: &Thread) -> Option<Subject> {
    Some(Subject {
        id: thread.id.parse().ok()?,
        number: thread.number,
        last_seq: thread.last_seq,
        deletions: thread.deletions,
    })
}
