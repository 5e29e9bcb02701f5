//! Logs as gateways read them, on behalf of nobody in particular.

use confab_database::Database;
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::{Stored, conversation, entry, joined, read, weight};
use crate::page::{Extent, fill};
use crate::thread::Kind;

/// A page of a log holds this many entries and this much text.
const ENTRIES: u32 = 500;
const BYTES: i64 = 1024 * 1024;
/// So does what everybody wrote recently.
const RECENT: u32 = 2000;
const RECENT_BYTES: i64 = 2 * 1024 * 1024;

/// A thread's entries after a position, and whether there are more.
pub(crate) async fn after(
    database: &Database,
    thread: i64,
    seq: i64,
) -> Result<(Vec<Stored>, bool), DbErr> {
    let query = people()
        .filter(entry::Column::Thread.eq(thread))
        .filter(entry::Column::Seq.gt(seq))
        .order_by_asc(entry::Column::Seq);
    page(database, query, entry::Column::Seq, ENTRIES, BYTES).await
}

/// Everybody's entries after an entry, the oldest id first, and the highest id there is.
pub(crate) async fn recent(database: &Database, id: i64) -> Result<(Vec<Stored>, i64), DbErr> {
    // Before the entries: what is committed in between is met by the next call.
    let last = last_id(database).await?;
    if id <= 0 {
        return Ok((Vec::new(), last));
    }
    let entries = beyond(database, id).await?;
    let read = entries.last().map_or(0, |entry| entry.row.id);
    Ok((entries, Ord::max(last, read)))
}

/// The highest id there is; 0 without any.
pub(crate) async fn last_id(database: &Database) -> Result<i64, DbErr> {
    let last: Option<Option<i64>> = entry::Entity::find()
        .select_only()
        .expr(Func::max(Expr::col(entry::Column::Id)))
        .into_tuple()
        .one(database.read())
        .await?;
    Ok(last.flatten().unwrap_or(0))
}

/// A page of everybody's entries after an id, the oldest id first.
pub(crate) async fn beyond(database: &Database, id: i64) -> Result<Vec<Stored>, DbErr> {
    let query = people()
        .filter(entry::Column::Id.gt(id))
        .order_by_asc(entry::Column::Id);
    let (entries, _) = page(database, query, entry::Column::Id, RECENT, RECENT_BYTES).await?;
    Ok(entries)
}

fn people() -> Select<entry::Entity> {
    joined().filter(conversation::Column::Kind.is_in([Kind::Direct, Kind::Group]))
}

/// Lengths first: what does not fit into the page is never loaded. An announced file counts with its announcement.
async fn page(
    database: &Database,
    query: Select<entry::Entity>,
    place: entry::Column,
    most: u32,
    most_bytes: i64,
) -> Result<(Vec<Stored>, bool), DbErr> {
    let extents: Vec<(i64, i64)> = query
        .clone()
        .select_only()
        .column(place)
        .expr_as(weight(), "bytes")
        .limit(u64::from(most) + 1)
        .into_tuple()
        .all(database.read())
        .await?;
    let extents: Vec<Extent> = extents
        .into_iter()
        .map(|(seq, bytes)| Extent { seq, bytes })
        .collect();
    let page = fill(&extents, most, most_bytes);
    let Some(places) = page.seqs else {
        return Ok((Vec::new(), false));
    };
    let query = query.filter(place.lte(*places.end()));
    Ok((read(database.read(), query).await?, page.more))
}
