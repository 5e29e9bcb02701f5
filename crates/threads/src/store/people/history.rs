//! The messages of a conversation, page by page.

use std::ops::RangeInclusive;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SubQueryStatement};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, Select,
};

use super::membership::message_seq;
use super::{Conversations, Stored, announce, conversation, entry, weight, weight_of};
use crate::answer::State;
use crate::error::Error;
use crate::exchange::AuthorKind;
use crate::page::{BYTES, Extent, Page, fill};
use crate::people::{EntryKind, Pair, Place, Whose, Window};

/// The longest page that is read at once, with texts and files; of a longer one the lengths are read first.
const AT_ONCE: u32 = 64;

/// A message as a page has it. What is the same in all of them, and what only goes along when one is delivered, is not
/// read: half of the cost of a page is the number of its columns.
struct Line(entry::Model);

impl Line {
    /// In the order in which they are taken.
    const COLUMNS: [entry::Column; 13] = [
        entry::Column::Id,
        entry::Column::Thread,
        entry::Column::Seq,
        entry::Column::Kind,
        entry::Column::AuthorId,
        entry::Column::Content,
        entry::Column::Attachments,
        entry::Column::ClientMsgId,
        entry::Column::ProfileId,
        entry::Column::RefersTo,
        entry::Column::MembershipVersion,
        entry::Column::CreatedAt,
        entry::Column::UpdatedAt,
    ];

    fn at(self, place: Place) -> Stored {
        Stored {
            row: self.0,
            place,
            announced: None,
        }
    }

    fn extent(&self) -> Extent {
        Extent {
            seq: self.0.seq,
            bytes: weight_of(&self.0),
        }
    }
}

impl FromQueryResult for Line {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        Ok(Self(entry::Model {
            id: row.try_get_by_index(0)?,
            thread: row.try_get_by_index(1)?,
            seq: row.try_get_by_index(2)?,
            kind: row.try_get_by_index(3)?,
            author_kind: AuthorKind::Person,
            author_id: row.try_get_by_index(4)?,
            state: State::Complete,
            content: row.try_get_by_index(5)?,
            attachments: row.try_get_by_index(6)?,
            client_msg_id: row.try_get_by_index(7)?,
            fingerprint: None,
            profile_id: row.try_get_by_index(8)?,
            read_seq: None,
            refers_to: row.try_get_by_index(9)?,
            membership_version: row.try_get_by_index(10)?,
            traceparent: None,
            created_at: row.try_get_by_index(11)?,
            updated_at: row.try_get_by_index(12)?,
        }))
    }
}

/// A log that a user may read.
struct Log {
    place: Place,
    /// Its number, perhaps as it is found out by the statement.
    thread: Expr,
}

impl Log {
    /// Of a direct thread, which is the user's as the user is of its pair.
    fn of_pair(pair: Pair) -> Self {
        let column = |column| Expr::col((conversation::Entity, column));
        let number = Query::select()
            .column((conversation::Entity, conversation::Column::Number))
            .from(conversation::Entity)
            .and_where(column(conversation::Column::LowId).eq(pair.low))
            .and_where(column(conversation::Column::HighId).eq(pair.high))
            .to_owned();
        Self {
            place: Place::Direct(pair),
            thread: SubQueryStatement::from(number).into(),
        }
    }

    fn is_thread(&self) -> Expr {
        Expr::col((entry::Entity, entry::Column::Thread)).eq(self.thread.clone())
    }

    /// The place of a message there; without one, NULL.
    fn seq_of(&self, id: i64) -> Expr {
        let seq = Query::select()
            .column((entry::Entity, entry::Column::Seq))
            .from(entry::Entity)
            .and_where(entry::Column::Id.eq(id))
            .and_where(self.is_thread())
            .and_where(entry::Column::Kind.is_in(EntryKind::MESSAGES))
            .to_owned();
        SubQueryStatement::from(seq).into()
    }

    /// What is between the bounds. A bound that there is not leaves nothing.
    fn between(&self, window: &Window) -> Select<entry::Entity> {
        let mut query = entry::Entity::find()
            .filter(self.is_thread())
            .filter(entry::Column::Kind.is_in(window.kinds.iter().copied()));
        let seq = || Expr::col((entry::Entity, entry::Column::Seq));
        if let Some(id) = window.before {
            query = query.filter(seq().lt(self.seq_of(id)));
        }
        if let Some(id) = window.after {
            query = query.filter(seq().gt(self.seq_of(id)));
        }
        if let Some(from) = window.from {
            query = query.filter(entry::Column::CreatedAt.gte(from));
        }
        if let Some(until) = window.until {
            query = query.filter(entry::Column::CreatedAt.lt(until));
        }
        query
    }
}

impl Conversations<'_> {
    /// A page of messages in ascending `seq`, and whether there are more between the bounds.
    pub(crate) async fn history(
        &self,
        whose: Whose,
        window: &Window,
    ) -> Result<(Vec<Stored>, bool), Error> {
        let log = match whose {
            Whose::Thread(number) => Log {
                place: self.visible_history(number).await?,
                thread: Expr::val(number),
            },
            Whose::Pair(pair) => Log::of_pair(pair),
        };
        let query = log.between(window);
        let (entries, more) = if let Some(around) = window.around {
            self.page_around(&log, query, around, window.limit).await?
        } else if window.limit <= AT_ONCE {
            self.short_page(&log, query, window).await?
        } else {
            let page = self
                .page(&query, window.newest, window.limit, BYTES)
                .await?;
            (self.load(&log, query, page.seqs).await?, page.more)
        };
        if entries.is_empty() {
            self.check_bounds(&log, window).await?;
        }
        Ok((entries, more))
    }

    /// Half of a page on either side of a message.
    async fn page_around(
        &self,
        log: &Log,
        query: Select<entry::Entity>,
        around: i64,
        limit: u32,
    ) -> Result<(Vec<Stored>, bool), Error> {
        let middle = message_seq(self.database.read(), log.thread.clone(), around).await?;
        let half = limit / 2;
        let older = query.clone().filter(entry::Column::Seq.lt(middle));
        let newer = query.clone().filter(entry::Column::Seq.gte(middle));
        let older = self.page(&older, true, half, BYTES / 2).await?;
        let newer = self.page(&newer, false, limit - half, BYTES / 2).await?;
        let start = older.seqs.as_ref().or(newer.seqs.as_ref());
        let end = newer.seqs.as_ref().or(older.seqs.as_ref());
        let seqs = start
            .zip(end)
            .map(|(start, end)| *start.start()..=*end.end());
        let entries = self.load(log, query, seqs).await?;
        Ok((entries, older.more || newer.more))
    }

    /// Like [`Conversations::check`]; the owner of a group without members sees that nothing was said.
    async fn visible_history(&self, number: i64) -> Result<Place, Error> {
        match self.check(number).await {
            Err(Error::ThreadNotFound) => Ok(self.get(number).await?.row.place()),
            checked => Ok(checked?.place()),
        }
    }

    /// Why there may be nothing: the thread, or a message that bounds the page, is not there.
    async fn check_bounds(&self, log: &Log, window: &Window) -> Result<(), Error> {
        let thread: Option<i64> = conversation::Entity::find()
            .select_only()
            .column(conversation::Column::Number)
            .filter(Expr::col(conversation::Column::Number).eq(log.thread.clone()))
            .into_tuple()
            .one(self.database.read())
            .await?;
        let thread = thread.ok_or(Error::ThreadNotFound)?;
        for id in [window.before, window.after].into_iter().flatten() {
            message_seq(self.database.read(), thread.into(), id).await?;
        }
        Ok(())
    }

    /// A page that is short enough to be read before its length is known.
    async fn short_page(
        &self,
        log: &Log,
        query: Select<entry::Entity>,
        window: &Window,
    ) -> Result<(Vec<Stored>, bool), DbErr> {
        let order = if window.newest {
            Order::Desc
        } else {
            Order::Asc
        };
        let query = query
            .order_by(entry::Column::Seq, order)
            .limit(u64::from(window.limit) + 1);
        let lines = self.lines(query).await?;
        let extents: Vec<Extent> = lines.iter().map(Line::extent).collect();
        let Page { seqs, more } = fill(&extents, window.limit, BYTES);
        let fits = |line: &Line| seqs.as_ref().is_some_and(|seqs| seqs.contains(&line.0.seq));
        let lines = lines.into_iter().filter(fits);
        let mut entries: Vec<Stored> = lines.map(|line| line.at(log.place)).collect();
        if window.newest {
            entries.reverse();
        }
        announce(self.database.read(), entries.iter_mut()).await?;
        Ok((entries, more))
    }

    async fn lines(&self, query: Select<entry::Entity>) -> Result<Vec<Line>, DbErr> {
        let query = query.select_only().columns(Line::COLUMNS);
        query.into_model().all(self.database.read()).await
    }

    /// Which part of the log a page is. One more than it may hold is looked at, to see whether there are more.
    async fn page(
        &self,
        query: &Select<entry::Entity>,
        newest: bool,
        limit: u32,
        most_bytes: i64,
    ) -> Result<Page, DbErr> {
        let order = if newest { Order::Desc } else { Order::Asc };
        let extents: Vec<(i64, i64)> = query
            .clone()
            .select_only()
            .column(entry::Column::Seq)
            .expr_as(weight(), "bytes")
            .order_by(entry::Column::Seq, order)
            .limit(u64::from(limit) + 1)
            .into_tuple()
            .all(self.database.read())
            .await?;
        let extents: Vec<Extent> = extents
            .into_iter()
            .map(|(seq, bytes)| Extent { seq, bytes })
            .collect();
        Ok(fill(&extents, limit, most_bytes))
    }

    async fn load(
        &self,
        log: &Log,
        query: Select<entry::Entity>,
        seqs: Option<RangeInclusive<i64>>,
    ) -> Result<Vec<Stored>, DbErr> {
        let Some(seqs) = seqs else {
            return Ok(Vec::new());
        };
        let query = query
            .filter(entry::Column::Seq.between(*seqs.start(), *seqs.end()))
            .order_by_asc(entry::Column::Seq);
        let lines = self.lines(query).await?.into_iter();
        let mut entries: Vec<_> = lines.map(|line| line.at(log.place)).collect();
        announce(self.database.read(), entries.iter_mut()).await?;
        Ok(entries)
    }
}
