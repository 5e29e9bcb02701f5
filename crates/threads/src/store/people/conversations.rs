//! What a user sees of the threads between that user and other people.

use std::collections::HashMap;

use confab_database::{Database, Sql};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
};
use uuid::Uuid;

use super::{Stored, conversation, entry, joined, read};
use crate::error::Error;
use crate::people::Pair;
use crate::store::member;
use crate::thread::Kind;

/// The direct threads and groups of one user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversations<'a> {
    pub(super) database: &'a Database,
    pub(super) user: Uuid,
}

/// A thread between people as one of them sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) row: conversation::Model,
    /// In the order in which they came.
    pub(crate) members: Vec<Uuid>,
    pub(crate) last_message: Option<Stored>,
    pub(crate) read_seq: i64,
    pub(crate) unread: i64,
}

#[derive(Debug, FromQueryResult)]
struct Summary {
    #[sea_orm(nested)]
    row: conversation::Model,
    read_seq: i64,
    unread: i64,
    last_message: Option<i64>,
}

impl<'a> Conversations<'a> {
    pub(crate) fn of(database: &'a Database, user: Uuid) -> Self {
        Self { database, user }
    }

    /// A thread by its number; a group without members is seen by its owner.
    pub(crate) async fn get(&self, number: i64) -> Result<Conversation, Error> {
        let query = self
            .summary()
            .text("LEFT JOIN member AS mine ON mine.thread = thread.number AND mine.user_id = ")
            .value(self.user)
            .text(" WHERE thread.number = ")
            .value(number)
            .text(" AND thread.kind IN (2, 3) AND (mine.user_id IS NOT NULL OR thread.owner_id = ")
            .value(self.user)
            .text(" AND NOT EXISTS (SELECT 1 FROM member WHERE member.thread = thread.number))");
        self.one(query).await
    }

    /// The thread of a pair, if it has been made.
    pub(crate) async fn direct(&self, pair: Pair) -> Result<Conversation, Error> {
        let query = self
            .mine()
            .text(" AND low_id = ")
            .value(pair.low)
            .text(" AND high_id = ")
            .value(pair.high);
        self.one(query).await
    }

    /// The user's threads of these kinds, the last active first.
    pub(crate) async fn list(
        &self,
        kinds: &[Kind],
        limit: u32,
    ) -> Result<Vec<Conversation>, Error> {
        let mut query = self.mine().text(" AND thread.kind IN (0");
        for kind in kinds {
            query = query.text(", ").value(*kind);
        }
        let query = query
            .text(") ORDER BY active_at DESC, number DESC LIMIT ")
            .value(i64::from(limit));
        Ok(self.read(query).await?)
    }

    /// A message of one of the user's threads.
    pub(crate) async fn entry(&self, id: i64) -> Result<Stored, Error> {
        let found = read(
            self.database.read(),
            joined().filter(entry::Column::Id.eq(id)),
        )
        .await?;
        let message = found.into_iter().find(|entry| entry.row.kind.is_message());
        let message = message.ok_or(Error::MessageNotFound)?;
        match self.check(message.row.thread).await {
            Err(Error::ThreadNotFound) => Err(Error::MessageNotFound),
            checked => checked.map(|_| message),
        }
    }

    /// Refuses a thread that the user is no member of. The owner of a group without members sees it, empty as it is.
    pub(super) async fn check(&self, number: i64) -> Result<conversation::Model, Error> {
        let thread = conversation::Entity::find_by_id(number)
            .filter(conversation::Column::Kind.is_in([Kind::Direct, Kind::Group]))
            .inner_join(member::Entity)
            .filter(member::Column::UserId.eq(self.user))
            .one(self.database.read())
            .await?;
        thread.ok_or(Error::ThreadNotFound)
    }

    /// A thread with what of its last thousand entries the user has not read: whoever only writes has read nothing, and a
    /// long thread is not to be counted through. Whoever goes on names the user's membership `mine`.
    fn summary(&self) -> Sql {
        Sql::new(
            "SELECT thread.number, thread.id, thread.kind, thread.owner_id, thread.last_seq, \
             thread.low_id, thread.high_id, thread.membership_version, thread.created_at, \
             thread.active_at, COALESCE(mine.read_seq, 0) AS read_seq, \
             (SELECT message.id FROM message WHERE message.thread = thread.number \
             AND message.kind IN (1, 2, 3) ORDER BY message.seq DESC LIMIT 1) AS last_message, \
             (SELECT count(*) FROM (SELECT message.kind, message.author_id FROM message \
             WHERE message.thread = thread.number AND message.seq > mine.read_seq \
             ORDER BY message.seq DESC LIMIT 1000) AS latest \
             WHERE latest.kind IN (1, 2, 3) AND latest.author_id <> ",
        )
        .value(self.user)
        .text(") AS unread FROM thread ")
    }

    fn mine(&self) -> Sql {
        self.summary()
            .text("JOIN member AS mine ON mine.thread = thread.number WHERE mine.user_id = ")
            .value(self.user)
    }

    async fn one(&self, query: Sql) -> Result<Conversation, Error> {
        let found = self.read(query).await?;
        found.into_iter().next().ok_or(Error::ThreadNotFound)
    }

    /// Three statements, however many threads.
    async fn read(&self, query: Sql) -> Result<Vec<Conversation>, DbErr> {
        let database = self.database.read();
        let rows = database
            .query_all_raw(query.statement(self.database.backend()))
            .await?;
        let summaries = rows
            .iter()
            .map(|row| Summary::from_query_result(row, ""))
            .collect::<Result<Vec<_>, _>>()?;
        let mut members = self.members(&summaries).await?;
        let ids = summaries.iter().filter_map(|thread| thread.last_message);
        let messages = joined().filter(entry::Column::Id.is_in(ids));
        let messages = read(database, messages).await?;
        let mut messages: HashMap<i64, Stored> = messages
            .into_iter()
            .map(|message| (message.row.thread, message))
            .collect();
        let conversations = summaries.into_iter().map(|summary| Conversation {
            members: members.remove(&summary.row.number).unwrap_or_default(),
            last_message: messages.remove(&summary.row.number),
            row: summary.row,
            read_seq: summary.read_seq,
            unread: summary.unread,
        });
        Ok(conversations.collect())
    }

    async fn members(&self, threads: &[Summary]) -> Result<HashMap<i64, Vec<Uuid>>, DbErr> {
        let numbers = threads.iter().map(|thread| thread.row.number);
        let rows = member::Entity::find()
            .filter(member::Column::Thread.is_in(numbers))
            .order_by_asc(member::Column::JoinedSeq)
            .order_by_asc(member::Column::UserId)
            .all(self.database.read())
            .await?;
        let mut members: HashMap<i64, Vec<Uuid>> = HashMap::new();
        for row in rows {
            members.entry(row.thread).or_default().push(row.user_id);
        }
        Ok(members)
    }
}
