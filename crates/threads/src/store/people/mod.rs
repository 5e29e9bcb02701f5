//! Threads between people in the database.
//!
//! A person reaches rows through [`Conversations::of`] only, which sees the direct threads and groups of that person. What
//! gateways and writers ask is scoped to nobody and lives in [`log`], [`tails`] and [`batch`].
//! A transaction that writes makes the threads of new pairs first, then locks threads in the order of their numbers.

pub(crate) mod batch;
pub(crate) mod conversation;
mod conversations;
mod entry;
mod history;
pub(crate) mod log;
mod membership;
pub(crate) mod places;
pub(crate) mod tails;

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QuerySelect, RelationTrait, Select,
};
use uuid::Uuid;

use crate::people::Place;

pub(crate) use conversations::{Conversation, Conversations};

/// An entry and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) row: entry::Model,
    pub(crate) place: Place,
    /// The file that it announces.
    pub(crate) announced: Option<Box<Stored>>,
}

/// An entry together with the pair of its thread.
#[derive(Debug, FromQueryResult)]
struct Joined {
    #[sea_orm(nested)]
    row: entry::Model,
    low_id: Option<Uuid>,
    high_id: Option<Uuid>,
}

impl From<Joined> for Stored {
    fn from(joined: Joined) -> Self {
        Self {
            place: conversation::place(joined.row.thread, joined.low_id, joined.high_id),
            row: joined.row,
            announced: None,
        }
    }
}

/// Entries of all threads, with the columns of [`Joined`].
fn joined() -> Select<entry::Entity> {
    entry::Entity::find()
        .join(JoinType::InnerJoin, entry::Relation::Conversation.def())
        .column(conversation::Column::LowId)
        .column(conversation::Column::HighId)
}

/// What an entry's ids and times take in a reply.
const ENTRY_BYTES: usize = 300;
/// The longest file that an announcement may carry.
const FILE_BYTES: usize = 32 * 1024;

/// About how many bytes an entry takes in a reply, as the database knows without reading it.
fn weight() -> Expr {
    Expr::cust(format!(
        "CAST({ENTRY_BYTES} + octet_length(message.content) + octet_length(CAST(message.attachments AS text)) \
         + CASE WHEN message.refers_to IS NULL THEN 0 ELSE {FILE_BYTES} END AS bigint)",
    ))
}

/// The same, of an entry that was read.
fn weight_of(row: &entry::Model) -> i64 {
    let file = row.refers_to.map_or(0, |_| FILE_BYTES);
    let bytes = ENTRY_BYTES + row.content.len() + row.attachments.bytes() + file;
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Reads entries, with the files that they announce.
async fn read(
    database: &impl ConnectionTrait,
    query: Select<entry::Entity>,
) -> Result<Vec<Stored>, DbErr> {
    let rows = query.into_model::<Joined>().all(database).await?;
    let mut entries: Vec<Stored> = rows.into_iter().map(Into::into).collect();
    announce(database, entries.iter_mut()).await?;
    Ok(entries)
}

/// Adds the files that these entries announce.
async fn announce<'a>(
    database: &impl ConnectionTrait,
    entries: impl Iterator<Item = &'a mut Stored>,
) -> Result<(), DbErr> {
    let announcements: Vec<(i64, &mut Stored)> = entries
        .filter_map(|entry| Some((entry.row.refers_to?, entry)))
        .collect();
    let ids: Vec<i64> = announcements.iter().map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let files = joined()
        .filter(entry::Column::Id.is_in(ids))
        .into_model::<Joined>()
        .all(database)
        .await?;
    let files: HashMap<i64, Stored> = files
        .into_iter()
        .map(|file| (file.row.id, file.into()))
        .collect();
    for (id, entry) in announcements {
        entry.announced = files.get(&id).cloned().map(Box::new);
    }
    Ok(())
}
