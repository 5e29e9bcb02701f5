//! Appending what many people send in one transaction, each once.

mod rows;
mod threads;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use confab_database::{Database, Sql, violated_unique};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{
    ColumnTrait, ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, FromQueryResult, QueryFilter,
    RuntimeErr,
};
use uuid::Uuid;

use super::{Joined, Stored, announce, entry, joined, read};
use crate::error::Error;
use crate::people::{Known, Marker, NewEntry, Pair, Place};

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
        let Self::Before(cause) = self else {
            return false;
        };
        code(cause).is_some_and(|code| !DATABASE.iter().any(|class| code.starts_with(class)))
    }

    /// Whether another transaction took a key or a file first.
    pub(crate) fn is_collision(&self) -> bool {
        matches!(self, Self::Before(cause) if violated_unique(cause).is_some())
    }

    /// In a statement that is a transaction of its own.
    fn of_statement(cause: DbErr) -> Self {
        // What the database refuses, it has not done.
        if code(&cause).is_some() {
            Self::Before(cause)
        } else {
            Self::Commit(cause)
        }
    }

    /// Nobody waited for its end: it may have been written.
    pub(crate) fn late() -> Self {
        Self::Commit(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
    }

    pub(crate) fn into_cause(self) -> DbErr {
        match self {
            Self::Before(cause) | Self::Commit(cause) => cause,
        }
    }
}

/// What the database itself calls the failure.
fn code(cause: &DbErr) -> Option<Cow<'_, str>> {
    match cause {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error().and_then(DatabaseError::code)
        }
        _ => None,
    }
}

/// Appends these entries in their order, or finds what earlier sends with the same key appended. Refusals are those of
/// single entries and leave their neighbours alone. A unique violation fails the batch: another replica was faster.
///
/// Hardly any send is a repeat, and the database lets no second one in: they are looked for when it has refused one.
pub(crate) async fn append(
    database: &Database,
    known: &mut Known<Pair, i64>,
    entries: &[NewEntry],
    at: DateTime<Utc>,
) -> Result<Outcomes, Failure> {
    match attempt(database, known, entries, at, Repeats::Unexpected).await {
        Err(failure) if failure.is_collision() => {
            attempt(database, known, entries, at, Repeats::Expected).await
        }
        outcomes => outcomes,
    }
}

/// Whether some of the entries may have been sent before.
#[derive(Clone, Copy, PartialEq)]
enum Repeats {
    Expected,
    Unexpected,
}

async fn attempt(
    database: &Database,
    known: &mut Known<Pair, i64>,
    entries: &[NewEntry],
    at: DateTime<Utc>,
    repeats: Repeats,
) -> Result<Outcomes, Failure> {
    if repeats == Repeats::Unexpected && is_one_statement(database, known, entries) {
        let batch = Batch {
            connection: database.write(),
            entries,
            at,
        };
        let appended = batch.append(known, repeats).await;
        return Ok(appended.map_err(Failure::of_statement)?.0);
    }
    let transaction = database.begin().await.map_err(Failure::Before)?;
    let batch = Batch {
        connection: &transaction,
        entries,
        at,
    };
    let appended = batch.append(known, repeats).await;
    let (outcomes, threads) = appended.map_err(Failure::Before)?;
    transaction.commit().await.map_err(Failure::Commit)?;
    for (place, number) in threads {
        if let Place::Direct(pair) = place {
            known.insert(pair, number);
        }
    }
    Ok(outcomes)
}

/// Whether a single statement writes all of the entries, after which nothing can fail: it needs no transaction around it, and
/// beginning one and committing it are a way to the database each.
fn is_one_statement(
    database: &Database,
    known: &mut Known<Pair, i64>,
    entries: &[NewEntry],
) -> bool {
    let needs_nothing = |entry: &NewEntry| match entry.place {
        Place::Direct(pair) => entry.refers_to.is_none() && known.get(pair).is_some(),
        Place::Group(_) => entry.refers_to.is_none(),
    };
    database.backend() == DbBackend::Postgres
        && rows::fit_together(entries)
        && entries.iter().all(needs_nothing)
        && !rows::may_be_lost()
}

struct Batch<'a, C> {
    connection: &'a C,
    entries: &'a [NewEntry],
    at: DateTime<Utc>,
}

type Outcomes = Vec<Result<Appended, Error>>;

impl<C: ConnectionTrait> Batch<'_, C> {
    async fn append(
        &self,
        known: &mut Known<Pair, i64>,
        repeats: Repeats,
    ) -> Result<(Outcomes, HashMap<Place, i64>), DbErr> {
        let originals = match repeats {
            Repeats::Expected => self.originals().await?,
            Repeats::Unexpected => HashMap::new(),
        };
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
            .map(|entry| entry.and_then(|_| written.next().flatten()));
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
            announce(self.connection, stored.iter_mut()).await?;
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
            let announcements = read(self.connection, query).await?;
            found.extend(announcements.into_iter().filter_map(|entry| {
                let file = entry.row.refers_to?;
                Some((Marker::Announced(file), entry))
            }));
        }
        Ok(found)
    }

    async fn all(&self, sql: Sql) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
        let backend = self.connection.get_database_backend();
        self.connection.query_all_raw(sql.statement(backend)).await
    }

    async fn execute(&self, sql: Sql) -> Result<(), DbErr> {
        let backend = self.connection.get_database_backend();
        self.connection.execute_raw(sql.statement(backend)).await?;
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
