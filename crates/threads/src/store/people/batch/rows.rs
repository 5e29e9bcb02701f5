//! Numbering and inserting the entries of a batch.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use confab_database::Sql;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Value};

use super::Batch;
use crate::answer::State;
use crate::exchange::AuthorKind;
use crate::people::NewEntry;
use crate::store::message::Attachments;
use crate::store::people::{Stored, announce, entry};

/// The most rows and about the most bytes of one statement: a longer one waits for the network's acknowledgements.
const ROWS: usize = 64;
const BYTES: usize = 12 * 1024;

/// Whether one statement takes all of these entries.
pub(super) fn fit_together(entries: &[NewEntry]) -> bool {
    fitting(entries.iter()) == entries.len()
}

/// How many of these go into the next statement; one at least.
fn fitting<'a>(entries: impl Iterator<Item = &'a NewEntry>) -> usize {
    let mut bytes = 0;
    let fitting = entries.take(ROWS).take_while(|entry| {
        bytes += entry.weight();
        bytes <= BYTES
    });
    fitting.count().max(1)
}

/// An entry and where it goes.
#[derive(Clone, Copy)]
struct Draft<'a> {
    new: &'a NewEntry,
    thread: i64,
    /// Its place among the entries of the batch.
    position: usize,
}

/// What an entry has when it is written.
#[derive(Clone, Copy)]
struct Written {
    thread: i64,
    seq: i64,
    id: i64,
    membership_version: i64,
}

/// A thread as its locked row stands after it was raised.
struct Raised {
    next_seq: i64,
    membership_version: i64,
}

impl<C: ConnectionTrait> Batch<'_, C> {
    /// Numbers and inserts these entries, each into its thread; `None` stands for those whose thread is gone.
    pub(super) async fn write(
        &self,
        entries: &[(&NewEntry, i64)],
    ) -> Result<Vec<Option<Stored>>, DbErr> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let drafts = entries.iter().enumerate();
        let mut drafts: Vec<Draft<'_>> = drafts
            .map(|(position, (new, thread))| Draft {
                new,
                thread: *thread,
                position,
            })
            .collect();
        // All statements of the transaction together lock the threads in the order of their numbers; entries of one thread
        // keep theirs.
        drafts.sort_by_key(|draft| draft.thread);
        let mut raised = match self.connection.get_database_backend() {
            DbBackend::Postgres => None,
            _ => Some(self.raise(&drafts).await?),
        };
        let mut written: Vec<Option<Written>> = vec![None; entries.len()];
        let mut rest = drafts.as_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(fitting(rest.iter().map(|draft| draft.new)));
            let statement = match &mut raised {
                None => Some(raise_and_insert(chunk, self.at)),
                Some(raised) => insert(chunk, raised, self.at),
            };
            if let Some(statement) = statement {
                self.write_chunk(statement, chunk, &mut written).await?;
            }
            rest = others;
        }
        #[cfg(feature = "faults")]
        self.lose(&written).await?;
        let stored = written.into_iter().zip(entries).map(|(written, (new, _))| {
            Some(Stored {
                row: row(new, written?, self.at),
                place: new.place,
                announced: None,
            })
        });
        let mut stored: Vec<Option<Stored>> = stored.collect();
        announce(self.connection, stored.iter_mut().flatten()).await?;
        Ok(stored)
    }

    /// Locks the threads and takes the numbers of their next entries. The rows stay locked until the transaction ends, so
    /// numbers are given in the order of commits, and a rollback gives them back.
    ///
    /// That is how SQLite does it, which cannot change a table in the middle of a statement.
    async fn raise(&self, drafts: &[Draft<'_>]) -> Result<HashMap<i64, Raised>, DbErr> {
        let counts = counts(drafts);
        let statement = wanted(&counts)
            .text(") UPDATE thread SET last_seq = last_seq + entries, active_at = ")
            .value(self.at)
            .text(
                " FROM wanted WHERE number = wanted_number \
                 RETURNING number, last_seq, membership_version",
            );
        let mut raised = HashMap::new();
        for row in self.all(statement).await? {
            let number: i64 = row.try_get_by_index(0)?;
            let last_seq: i64 = row.try_get_by_index(1)?;
            let thread = Raised {
                next_seq: last_seq - counts.get(&number).unwrap_or(&0) + 1,
                membership_version: row.try_get_by_index(2)?,
            };
            raised.insert(number, thread);
        }
        Ok(raised)
    }

    /// Executes an insertion of these drafts and notes what became of them.
    async fn write_chunk(
        &self,
        statement: Sql,
        chunk: &[Draft<'_>],
        written: &mut [Option<Written>],
    ) -> Result<(), DbErr> {
        let mut rows = Vec::with_capacity(chunk.len());
        for row in self.all(statement).await? {
            rows.push(Written {
                thread: row.try_get_by_index(0)?,
                seq: row.try_get_by_index(1)?,
                id: row.try_get_by_index(2)?,
                membership_version: row.try_get_by_index(3)?,
            });
        }
        // As the drafts are, if all of them are there.
        rows.sort_unstable_by_key(|row| (row.thread, row.seq));
        let mut rows = rows.into_iter().peekable();
        for draft in chunk {
            written[draft.position] = rows.next_if(|row| row.thread == draft.thread);
        }
        Ok(())
    }
}

/// How many entries go into which thread, in the order of threads.
fn counts(drafts: &[Draft<'_>]) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    for draft in drafts {
        *counts.entry(draft.thread).or_default() += 1;
    }
    counts
}

/// The beginning of a statement: the threads, and how many entries go there.
fn wanted(counts: &BTreeMap<i64, i64>) -> Sql {
    let rows = counts
        .iter()
        .map(|(number, count)| [(*number).into(), (*count).into()]);
    Sql::new("WITH wanted (wanted_number, entries) AS (").rows(rows)
}

/// Locks the threads, takes the numbers of their next entries and inserts these, in one statement of PostgreSQL.
fn raise_and_insert(chunk: &[Draft<'_>], at: DateTime<Utc>) -> Sql {
    let mut seen: HashMap<i64, i64> = HashMap::new();
    let rows = chunk.iter().map(|draft| {
        let nth = seen.entry(draft.thread).or_default();
        *nth += 1;
        values(draft, *nth, 0, at)
    });
    wanted(&counts(chunk))
        .text(
            "), locked AS MATERIALIZED (SELECT number AS locked_number, entries FROM thread \
             JOIN wanted ON number = wanted_number ORDER BY number FOR UPDATE OF thread), \
             raised AS (UPDATE thread SET last_seq = last_seq + entries, active_at = ",
        )
        .value(at)
        .text(
            " FROM locked WHERE number = locked_number \
             RETURNING number, last_seq - entries AS last_before, membership_version AS version), \
             new (thread, nth, nothing, ",
        )
        .text(COLUMNS)
        .text(") AS (")
        .rows(rows)
        .text(") INSERT INTO message (thread, seq, membership_version, ")
        .text(COLUMNS)
        .text(") SELECT thread, last_before + nth, version, ")
        .text(COLUMNS)
        .text(" FROM new JOIN raised ON number = thread ")
        .text(RETURNING)
}

/// Inserts those of the drafts whose thread was raised; `None`: there is none.
fn insert(
    chunk: &[Draft<'_>],
    raised: &mut HashMap<i64, Raised>,
    at: DateTime<Utc>,
) -> Option<Sql> {
    let mut rows = Vec::with_capacity(chunk.len());
    for draft in chunk {
        if let Some(thread) = raised.get_mut(&draft.thread) {
            rows.push(values(
                draft,
                thread.next_seq,
                thread.membership_version,
                at,
            ));
            thread.next_seq += 1;
        }
    }
    if rows.is_empty() {
        return None;
    }
    let columns = format!("thread, seq, membership_version, {COLUMNS}");
    let insert = Sql::insert_into("message", &columns, "thread", rows);
    Some(insert.text(RETURNING))
}

const RETURNING: &str = " RETURNING thread, seq, id, membership_version";

/// What an entry brings along, beside its thread, its place there and the version of the list of members.
const COLUMNS: &str = "kind, author_kind, author_id, state, content, attachments, client_msg_id, \
                       fingerprint, profile_id, refers_to, traceparent, created_at, updated_at";

fn values(draft: &Draft<'_>, seq: i64, membership_version: i64, at: DateTime<Utc>) -> [Value; 16] {
    let new = draft.new;
    [
        draft.thread.into(),
        seq.into(),
        membership_version.into(),
        new.kind.into(),
        AuthorKind::Person.into(),
        new.author.into(),
        State::Complete.into(),
        new.content.as_str().into(),
        Attachments(new.attachments.clone()).into(),
        new.client_msg_id.clone().into(),
        new.fingerprint().map(Vec::from).into(),
        new.profile_id.into(),
        new.refers_to.into(),
        new.traceparent.clone().into(),
        at.into(),
        at.into(),
    ]
}

fn row(new: &NewEntry, written: Written, at: DateTime<Utc>) -> entry::Model {
    entry::Model {
        id: written.id,
        thread: written.thread,
        seq: written.seq,
        kind: new.kind,
        author_kind: AuthorKind::Person,
        author_id: new.author,
        state: State::Complete,
        content: new.content.clone(),
        attachments: Attachments(new.attachments.clone()),
        client_msg_id: new.client_msg_id.clone(),
        fingerprint: new.fingerprint().map(Into::into),
        profile_id: new.profile_id,
        read_seq: None,
        refers_to: new.refers_to,
        membership_version: written.membership_version,
        traceparent: new.traceparent.clone(),
        created_at: at,
        updated_at: at,
    }
}

#[cfg(feature = "faults")]
const LOSS: &str = "ack_before_commit";

/// Whether this build takes some of what it wrote back, which nobody may have seen by then.
#[cfg(feature = "faults")]
pub(super) fn may_be_lost() -> bool {
    fail::list().iter().any(|(point, _)| point == LOSS)
}

/// What this build wrote stays.
#[cfg(not(feature = "faults"))]
pub(super) fn may_be_lost() -> bool {
    false
}

/// What is answered is not there.
#[cfg(feature = "faults")]
impl<C: ConnectionTrait> Batch<'_, C> {
    async fn lose(&self, written: &[Option<Written>]) -> Result<(), DbErr> {
        use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
        if fail::eval(LOSS, |_| ()).is_some() {
            let ids = written.iter().flatten().map(|written| written.id);
            let lost = entry::Entity::delete_many().filter(entry::Column::Id.is_in(ids));
            lost.exec(self.connection).await?;
        }
        Ok(())
    }
}
