//! Numbering and inserting the entries of a batch.

use std::collections::{BTreeMap, HashMap};

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

/// A thread as its locked row stands after it was raised.
struct Raised {
    next_seq: i64,
    membership_version: i64,
}

impl Batch<'_> {
    /// Numbers and inserts these entries, each into its thread.
    pub(super) async fn write(&self, entries: &[(&NewEntry, i64)]) -> Result<Vec<Stored>, DbErr> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut threads = self.raise(entries).await?;
        let mut rows = Vec::with_capacity(entries.len());
        for (new, number) in entries {
            let thread = threads
                .get_mut(number)
                .ok_or_else(|| DbErr::RecordNotFound("a thread was deleted".to_owned()))?;
            rows.push(self.row(new, *number, thread));
            thread.next_seq += 1;
        }
        let mut rest = rows.as_mut_slice();
        while !rest.is_empty() {
            let (chunk, others) =
                rest.split_at_mut(fitting(&entries[entries.len() - rest.len()..]));
            self.insert(chunk).await?;
            rest = others;
        }
        #[cfg(feature = "faults")]
        self.lose(&rows).await?;
        let stored = rows.into_iter().zip(entries).map(|(row, (new, _))| Stored {
            row,
            place: new.place,
            announced: None,
        });
        let mut stored = stored.collect();
        announce(self.transaction, &mut stored).await?;
        Ok(stored)
    }

    /// Locks the threads in the order of their numbers and takes the numbers of their next entries. The rows stay locked
    /// until the transaction ends, so numbers are given in the order of commits, and a rollback gives them back.
    async fn raise(&self, entries: &[(&NewEntry, i64)]) -> Result<HashMap<i64, Raised>, DbErr> {
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for (_, thread) in entries {
            *counts.entry(*thread).or_default() += 1;
        }
        let wanted = Sql::new("WITH wanted (wanted_number, entries) AS (").rows(
            counts
                .iter()
                .map(|(number, count)| [(*number).into(), (*count).into()]),
        );
        let (locks, locked) = match self.transaction.get_database_backend() {
            DbBackend::Postgres => (
                "), locked AS MATERIALIZED (SELECT number AS locked_number FROM thread \
                 JOIN wanted ON number = wanted_number ORDER BY number FOR UPDATE OF thread)",
                ", locked WHERE number = wanted_number AND number = locked_number",
            ),
            _ => (")", " WHERE number = wanted_number"),
        };
        let statement = wanted
            .text(locks)
            .text(" UPDATE thread SET last_seq = last_seq + entries, active_at = ")
            .value(self.at)
            .text(" FROM wanted")
            .text(locked)
            .text(" RETURNING number, last_seq, membership_version");
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

    fn row(&self, new: &NewEntry, thread: i64, raised: &Raised) -> entry::Model {
        entry::Model {
            id: 0,
            thread,
            seq: raised.next_seq,
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
            membership_version: raised.membership_version,
            traceparent: new.traceparent.clone(),
            created_at: self.at,
            updated_at: self.at,
        }
    }

    /// Inserts these rows in one statement and gives them their ids.
    async fn insert(&self, rows: &mut [entry::Model]) -> Result<(), DbErr> {
        let insert = Sql::insert_into("message", COLUMNS, "thread", rows.iter().map(values))
            .text(" RETURNING thread, seq, id");
        let mut ids: HashMap<(i64, i64), i64> = HashMap::with_capacity(rows.len());
        for row in self.all(insert).await? {
            let place = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            ids.insert(place, row.try_get_by_index(2)?);
        }
        for row in rows {
            row.id = *ids
                .get(&(row.thread, row.seq))
                .ok_or(DbErr::RecordNotInserted)?;
        }
        Ok(())
    }
}

/// What is answered is not there.
#[cfg(feature = "faults")]
impl Batch<'_> {
    async fn lose(&self, rows: &[entry::Model]) -> Result<(), DbErr> {
        use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
        if fail::eval("ack_before_commit", |_| ()).is_some() {
            let ids = rows.iter().map(|row| row.id);
            let lost = entry::Entity::delete_many().filter(entry::Column::Id.is_in(ids));
            lost.exec(self.transaction).await?;
        }
        Ok(())
    }
}

/// How many of these go into the next statement; one at least.
fn fitting(entries: &[(&NewEntry, i64)]) -> usize {
    let mut bytes = 0;
    let fitting = entries.iter().take(ROWS).take_while(|(entry, _)| {
        bytes += entry.weight();
        bytes <= BYTES
    });
    fitting.count().max(1)
}

const COLUMNS: &str = "thread, seq, kind, author_kind, author_id, state, content, attachments, client_msg_id, \
                       fingerprint, profile_id, refers_to, membership_version, traceparent, created_at, \
                       updated_at";

fn values(row: &entry::Model) -> [Value; 16] {
    [
        row.thread.into(),
        row.seq.into(),
        row.kind.into(),
        row.author_kind.into(),
        row.author_id.into(),
        row.state.into(),
        row.content.as_str().into(),
        row.attachments.clone().into(),
        row.client_msg_id.clone().into(),
        row.fingerprint.clone().into(),
        row.profile_id.into(),
        row.refers_to.into(),
        row.membership_version.into(),
        row.traceparent.clone().into(),
        row.created_at.into(),
        row.updated_at.into(),
    ]
}
