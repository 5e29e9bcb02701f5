//! Appending what many people send in one transaction, each once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use confab_database::{Database, violated_unique};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, FromQueryResult,
    QueryFilter, RuntimeErr, Value,
};
use uuid::Uuid;

use super::sql::Sql;
use super::{Joined, Stored, announce, entry, joined, read};
use crate::answer::State;
use crate::error::Error;
use crate::people::{Known, Marker, NewEntry, Pair, Place};
use crate::store::message::{Attachments, AuthorKind};
use crate::thread::Kind;

/// The most rows and about the most bytes of one statement: a longer one waits for the network's acknowledgements.
const ROWS: usize = 64;
const BYTES: usize = 12 * 1024;

/// An entry that a send stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) entry: Stored,
    /// An earlier send wrote it.
    pub(crate) replayed: bool,
}

/// Why a whole batch came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Before its commit: nothing was written.
    Before(DbErr),
    /// In its commit: it may have been written.
    Commit(DbErr),
}

impl Failure {
    /// Whether a part of the batch may succeed when it is tried alone: a row is at fault, not the database.
    pub(crate) fn is_about_rows(&self) -> bool {
        /// Classes of PostgreSQL for lost connections, exhausted resources, locks and time limits, and its own failures.
        const DATABASE: [&str; 6] = ["08", "53", "55", "57", "58", "XX"];
        let Self::Before(
            DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)),
        ) = self
        else {
            return false;
        };
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.is_some_and(|code| !DATABASE.iter().any(|class| code.starts_with(class)))
    }

    /// Whether another transaction took a key or a file first.
    pub(crate) fn is_collision(&self) -> bool {
        matches!(self, Self::Before(cause) if violated_unique(cause).is_some())
    }

    pub(crate) fn into_cause(self) -> DbErr {
        match self {
            Self::Before(cause) | Self::Commit(cause) => cause,
        }
    }
}

/// Appends these entries in their order, or finds what earlier sends with the same key appended. Refusals are those of
/// single entries and leave their neighbours alone. A unique violation fails the batch: another replica was faster.
pub(crate) async fn append(
    database: &Database,
    known: &mut Known<Pair, i64>,
    entries: &[NewEntry],
    at: DateTime<Utc>,
) -> Result<Vec<Result<Appended, Error>>, Failure> {
    let transaction = database.begin().await.map_err(Failure::Before)?;
    let batch = Batch {
        transaction: &transaction,
        entries,
        at,
    };
    let (outcomes, threads) = batch.append(known).await.map_err(Failure::Before)?;
    transaction.commit().await.map_err(Failure::Commit)?;
    for (place, number) in threads {
        if let Place::Direct(pair) = place {
            known.insert(pair, number);
        }
    }
    Ok(outcomes)
}

struct Batch<'a> {
    transaction: &'a DatabaseTransaction,
    entries: &'a [NewEntry],
    at: DateTime<Utc>,
}

/// A thread as its locked row stands after it was raised.
struct Raised {
    next_seq: i64,
    membership_version: i64,
}

type Outcomes = Vec<Result<Appended, Error>>;

impl Batch<'_> {
    async fn append(
        &self,
        known: &mut Known<Pair, i64>,
    ) -> Result<(Outcomes, HashMap<Place, i64>), DbErr> {
        let originals = self.originals().await?;
        let original = |entry: &NewEntry| {
            let mut markers = entry.markers();
            markers.find_map(|marker| originals.get(&marker))
        };
        // Where each entry's outcome comes from.
        let mut sources = Vec::with_capacity(self.entries.len());
        let mut candidates: Vec<&NewEntry> = Vec::with_capacity(self.entries.len());
        let mut firsts: HashMap<Marker, usize> = HashMap::new();
        for entry in self.entries {
            if let Some(original) = original(entry) {
                sources.push(Source::Stored(original));
            } else if let Some(first) = entry.markers().find_map(|marker| firsts.get(&marker)) {
                sources.push(Source::Repeat(*first));
            } else {
                firsts.extend(entry.markers().map(|marker| (marker, candidates.len())));
                sources.push(Source::New(candidates.len()));
                candidates.push(entry);
            }
        }
        let threads = self.threads(known, &candidates).await?;
        let written = self.write_permitted(&threads, &candidates).await?;
        let outcomes = sources.into_iter().zip(self.entries);
        let outcomes = outcomes.map(|(source, entry)| match source {
            Source::Stored(original) => repeat(entry, original),
            Source::New(position) => match &written[position] {
                Some(entry) => Ok(Appended {
                    entry: entry.clone(),
                    replayed: false,
                }),
                None => Err(Error::ThreadNotFound),
            },
            Source::Repeat(position) => match &written[position] {
                Some(original) => repeat(entry, original),
                None => Err(Error::ThreadNotFound),
            },
        });
        Ok((outcomes.collect(), threads))
    }

    /// Writes those of the entries whose authors may; `None` stands for the others.
    async fn write_permitted(
        &self,
        threads: &HashMap<Place, i64>,
        entries: &[&NewEntry],
    ) -> Result<Vec<Option<Stored>>, DbErr> {
        let members = self.members(entries).await?;
        let thread = |entry: &NewEntry| {
            let may_write = match entry.place {
                Place::Direct(pair) => pair.holds(entry.author),
                Place::Group(number) => members.contains(&(number, entry.author)),
            };
            threads.get(&entry.place).copied().filter(|_| may_write)
        };
        let permitted: Vec<Option<(&NewEntry, i64)>> = entries
            .iter()
            .map(|entry| thread(entry).map(|number| (*entry, number)))
            .collect();
        let fresh: Vec<(&NewEntry, i64)> = permitted.iter().flatten().copied().collect();
        let mut written = self.write(&fresh).await?.into_iter();
        let written = permitted
            .iter()
            .map(|entry| entry.and_then(|_| written.next()));
        Ok(written.collect())
    }

    /// What earlier sends with the same keys wrote, and earlier announcements of the same files.
    async fn originals(&self) -> Result<HashMap<Marker, Stored>, DbErr> {
        let mut found = HashMap::new();
        let keys: HashSet<(Uuid, &str)> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.author, entry.client_msg_id.as_deref()?)))
            .collect();
        if !keys.is_empty() {
            let query = Sql::new("WITH wanted (wanted_author, wanted_key) AS (")
                .rows(
                    keys.into_iter()
                        .map(|(author, key)| [author.into(), key.into()]),
                )
                .text(
                    ") SELECT message.*, low_id, high_id FROM wanted \
                     JOIN message ON author_id = wanted_author AND client_msg_id = wanted_key \
                     JOIN thread ON thread.number = message.thread",
                );
            let mut stored = Vec::new();
            for row in self.all(query).await? {
                stored.push(Joined::from_query_result(&row, "")?.into());
            }
            announce(self.transaction, &mut stored).await?;
            found.extend(stored.into_iter().filter_map(|entry| {
                let key = entry.row.client_msg_id.clone()?;
                Some((Marker::Key(entry.row.author_id, key), entry))
            }));
        }
        let files: Vec<i64> = self
            .entries
            .iter()
            .filter_map(|entry| entry.refers_to)
            .collect();
        if !files.is_empty() {
            let query = joined().filter(entry::Column::RefersTo.is_in(files));
            let announcements = read(self.transaction, query).await?;
            found.extend(announcements.into_iter().filter_map(|entry| {
                let file = entry.row.refers_to?;
                Some((Marker::Announced(file), entry))
            }));
        }
        Ok(found)
    }

    /// The numbers of the entries' threads; those of new pairs are made.
    async fn threads(
        &self,
        known: &mut Known<Pair, i64>,
        entries: &[&NewEntry],
    ) -> Result<HashMap<Place, i64>, DbErr> {
        let mut threads = HashMap::new();
        // In this order, so that transactions that make the same pairs wait for each other in no circle.
        let mut unknown: BTreeMap<Pair, Uuid> = BTreeMap::new();
        for entry in entries {
            match entry.place {
                Place::Group(number) => {
                    threads.insert(entry.place, number);
                }
                Place::Direct(pair) => match known.get(pair) {
                    Some(number) => {
                        threads.insert(entry.place, number);
                    }
                    None => {
                        unknown.entry(pair).or_insert(entry.author);
                    }
                },
            }
        }
        self.find(&mut unknown, &mut threads).await?;
        if !unknown.is_empty() {
            self.make(&unknown).await?;
            let made: Vec<Pair> = unknown.keys().copied().collect();
            self.find(&mut unknown, &mut threads).await?;
            let pairs = made.into_iter().filter_map(|pair| {
                let number = threads.get(&Place::Direct(pair))?;
                Some((*number, pair))
            });
            self.join(pairs).await?;
        }
        Ok(threads)
    }

    /// Moves the pairs that have a thread from `unknown` to `threads`.
    async fn find(
        &self,
        unknown: &mut BTreeMap<Pair, Uuid>,
        threads: &mut HashMap<Place, i64>,
    ) -> Result<(), DbErr> {
        if unknown.is_empty() {
            return Ok(());
        }
        let query = Sql::new("WITH wanted (low, high) AS (")
            .rows(
                unknown
                    .keys()
                    .map(|pair| [pair.low.into(), pair.high.into()]),
            )
            .text(
                ") SELECT number, low_id, high_id FROM wanted \
                 JOIN thread ON low_id = low AND high_id = high",
            );
        for row in self.all(query).await? {
            let pair = Pair {
                low: row.try_get_by_index(1)?,
                high: row.try_get_by_index(2)?,
            };
            unknown.remove(&pair);
            threads.insert(Place::Direct(pair), row.try_get_by_index(0)?);
        }
        Ok(())
    }

    /// Makes the threads of these pairs, waiting for whoever is making one of them.
    async fn make(&self, pairs: &BTreeMap<Pair, Uuid>) -> Result<(), DbErr> {
        let statement = Sql::new(
            "INSERT INTO thread (id, kind, owner_id, title, instructions, low_id, high_id, \
             created_at, active_at) ",
        )
        .rows(pairs.iter().map(|(pair, author)| {
            [
                Uuid::now_v7().into(),
                Kind::Direct.into(),
                (*author).into(),
                "".into(),
                "".into(),
                pair.low.into(),
                pair.high.into(),
                self.at.into(),
                self.at.into(),
            ]
        }))
        .text(" ON CONFLICT (low_id, high_id) DO NOTHING");
        self.execute(statement).await
    }

    async fn join(&self, threads: impl Iterator<Item = (i64, Pair)>) -> Result<(), DbErr> {
        let members = threads.flat_map(|(thread, pair)| [(thread, pair.low), (thread, pair.high)]);
        let statement = Sql::new("INSERT INTO member (thread, user_id, joined_at) ")
            .rows(members.map(|(thread, user)| [thread.into(), user.into(), self.at.into()]))
            .text(" ON CONFLICT (thread, user_id) DO NOTHING");
        self.execute(statement).await
    }

    /// Which of the authors are members of the groups that they write to.
    async fn members(&self, entries: &[&NewEntry]) -> Result<HashSet<(i64, Uuid)>, DbErr> {
        let wanted: BTreeSet<(i64, Uuid)> = entries
            .iter()
            .filter_map(|entry| match entry.place {
                Place::Group(number) => Some((number, entry.author)),
                Place::Direct(_) => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(HashSet::new());
        }
        let query = Sql::new("WITH wanted (wanted_thread, wanted_user) AS (")
            .rows(
                wanted
                    .into_iter()
                    .map(|(thread, user)| [thread.into(), user.into()]),
            )
            .text(
                ") SELECT thread, user_id FROM wanted \
                 JOIN member ON thread = wanted_thread AND user_id = wanted_user",
            );
        let rows = self.all(query).await?;
        rows.iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect()
    }

    async fn write(&self, entries: &[(&NewEntry, i64)]) -> Result<Vec<Stored>, DbErr> {
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
        let statement = Sql::new(
            "INSERT INTO message (thread, seq, kind, author_kind, author_id, state, content, \
             attachments, client_msg_id, fingerprint, profile_id, refers_to, membership_version, \
             traceparent, created_at, updated_at) ",
        )
        .rows(rows.iter().map(values))
        .text(" RETURNING thread, seq, id");
        let mut ids: HashMap<(i64, i64), i64> = HashMap::with_capacity(rows.len());
        for row in self.all(statement).await? {
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

    async fn all(&self, sql: Sql) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
        let backend = self.transaction.get_database_backend();
        self.transaction.query_all_raw(sql.statement(backend)).await
    }

    async fn execute(&self, sql: Sql) -> Result<(), DbErr> {
        let backend = self.transaction.get_database_backend();
        self.transaction.execute_raw(sql.statement(backend)).await?;
        Ok(())
    }
}

/// Where an entry's outcome comes from.
enum Source<'a> {
    /// An earlier send wrote it.
    Stored(&'a Stored),
    /// It is the first of the batch with its markers; the position is that among such entries.
    New(usize),
    /// It shares a marker with that new entry of the same batch.
    Repeat(usize),
}

/// The outcome of a send whose key or file was there before.
fn repeat(new: &NewEntry, original: &Stored) -> Result<Appended, Error> {
    let same_key = new.client_msg_id.is_some() && new.client_msg_id == original.row.client_msg_id;
    let fingerprint = new.fingerprint();
    if same_key
        && original.row.fingerprint.as_deref() != fingerprint.as_ref().map(<[u8; 32]>::as_slice)
    {
        return Err(Error::KeyReused);
    }
    Ok(Appended {
        entry: original.clone(),
        replayed: true,
    })
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
