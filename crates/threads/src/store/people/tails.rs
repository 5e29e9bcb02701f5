//! Where logs end and who is in them, as gateways ask to see whether they have missed something.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use confab_database::{Database, Sql, filled};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::conversation;
use crate::store::member;
use crate::thread::Kind;

/// The most positions that a socket starts from.
const POSITIONS: i64 = 1000;
/// The most parameters of a statement.
const PARAMETERS: usize = 1024;

/// A thread, and a place in its log.
pub(crate) type Position = (i64, i64);

/// The members of a group in the order in which they came, and the version of that list.
pub(crate) async fn members(
    database: &Database,
    thread: i64,
) -> Result<Option<(Vec<Uuid>, i64)>, DbErr> {
    // The version first: members who come in between make the list newer than it says, and are asked for again.
    let version: Option<i64> = conversation::Entity::find_by_id(thread)
        .filter(conversation::Column::Kind.is_in([Kind::Direct, Kind::Group]))
        .select_only()
        .column(conversation::Column::MembershipVersion)
        .into_tuple()
        .one(database.read())
        .await?;
    let Some(version) = version else {
        return Ok(None);
    };
    let members = member::Entity::find()
        .select_only()
        .column(member::Column::UserId)
        .filter(member::Column::Thread.eq(thread))
        .order_by_asc(member::Column::JoinedSeq)
        .order_by_asc(member::Column::UserId)
        .into_tuple()
        .all(database.read())
        .await?;
    Ok(Some((members, version)))
}

/// Where the logs of these users' threads end, the last active first.
pub(crate) async fn positions(
    database: &Database,
    users: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Position>>, DbErr> {
    let wanted: HashSet<Uuid> = users.iter().copied().collect();
    let database = database.read();
    let query = Sql::new("WITH wanted (wanted_user) AS (")
        .rows(wanted.into_iter().map(|user| [user.into()]))
        .text(
            "), ranked AS (SELECT user_id, number, last_seq, \
             row_number() OVER (PARTITION BY user_id ORDER BY active_at DESC, number DESC) AS place \
             FROM wanted JOIN member ON user_id = wanted_user JOIN thread ON number = thread \
             WHERE kind IN (",
        )
        .value(Kind::Direct)
        .text(", ")
        .value(Kind::Group)
        .text(")) SELECT user_id, number, last_seq FROM ranked WHERE place <= ")
        .value(POSITIONS)
        .text(" ORDER BY user_id, place")
        .statement(database.get_database_backend());
    let mut positions: HashMap<Uuid, Vec<Position>> = HashMap::new();
    for row in database.query_all_raw(query).await? {
        let position = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let user = row.try_get_by_index(0)?;
        positions.entry(user).or_default().push(position);
    }
    Ok(positions)
}

/// Those of the threads that have moved on, where they end now.
pub(crate) async fn moved(database: &Database, known: &[Position]) -> Result<Vec<Position>, DbErr> {
    let mut moved = Vec::new();
    for chunk in known.chunks(PARAMETERS) {
        let numbers = filled(chunk.iter().map(|(thread, _)| *thread));
        let ends: Vec<Position> = conversation::Entity::find()
            .select_only()
            .column(conversation::Column::Number)
            .column(conversation::Column::LastSeq)
            .filter(conversation::Column::Number.is_in(numbers))
            .filter(conversation::Column::Kind.is_in([Kind::Direct, Kind::Group]))
            .into_tuple()
            .all(database.read())
            .await?;
        let ends: HashMap<i64, i64> = ends.into_iter().collect();
        let behind = chunk.iter().filter_map(|(thread, seq)| {
            let end = *ends.get(thread)?;
            (end > *seq).then_some((*thread, end))
        });
        moved.extend(behind);
    }
    Ok(moved)
}

/// Who of the users came into which thread after that time, and where its log ended before.
pub(crate) async fn arrivals(
    database: &Database,
    users: &[Uuid],
    since: DateTime<Utc>,
) -> Result<Vec<(Uuid, i64, i64)>, DbErr> {
    let mut arrivals = Vec::new();
    for chunk in users.chunks(PARAMETERS) {
        let came: Vec<(Uuid, i64, i64)> = member::Entity::find()
            .select_only()
            .column(member::Column::UserId)
            .column(member::Column::Thread)
            .column(member::Column::JoinedSeq)
            .filter(member::Column::UserId.is_in(filled(chunk.iter().copied())))
            .filter(member::Column::JoinedAt.gt(since))
            .into_tuple()
            .all(database.read())
            .await?;
        arrivals.extend(came);
    }
    Ok(arrivals)
}
