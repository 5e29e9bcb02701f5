//! The messages of a conversation, page by page.

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect,
    Select,
};

use super::membership::message_seq;
use super::{Conversations, Joined, Stored, announce, conversation, entry, joined, read, weight};
use crate::error::Error;
use crate::page::{BYTES, Extent, Page, fill};
use crate::people::{Pair, Whose, Window};

/// The longest page that is read at once, with texts and files; of a longer one the lengths are read first.
const AT_ONCE: u32 = 64;

/// A row and about how many bytes it takes in a reply.
#[derive(Debug, FromQueryResult)]
struct Weighed {
    #[sea_orm(nested)]
    joined: Joined,
    bytes: i64,
}

impl Conversations<'_> {
    /// A page of messages in ascending `seq`, and whether there are more between the bounds.
    pub(crate) async fn history(
        &self,
        whose: Whose,
        window: &Window,
    ) -> Result<(Vec<Stored>, bool), Error> {
        let number = match whose {
            Whose::Thread(number) => {
                self.visible_history(number).await?;
                number
            }
            Whose::Pair(pair) => self.pair_number(pair).await?,
        };
        let query = self.between(number, window).await?;
        let Some(around) = window.around else {
            if window.limit <= AT_ONCE {
                return Ok(self.short_page(query, window).await?);
            }
            let page = self
                .page(&query, window.newest, window.limit, BYTES)
                .await?;
            return Ok((self.load(query, page.seqs).await?, page.more));
        };
        let middle = message_seq(self.database.read(), number, around).await?;
        let half = window.limit / 2;
        let older = query.clone().filter(entry::Column::Seq.lt(middle));
        let newer = query.clone().filter(entry::Column::Seq.gte(middle));
        let older = self.page(&older, true, half, BYTES / 2).await?;
        let newer = self
            .page(&newer, false, window.limit - half, BYTES / 2)
            .await?;
        let start = older.seqs.as_ref().or(newer.seqs.as_ref());
        let end = newer.seqs.as_ref().or(older.seqs.as_ref());
        let seqs = start
            .zip(end)
            .map(|(start, end)| *start.start()..=*end.end());
        Ok((self.load(query, seqs).await?, older.more || newer.more))
    }

    /// Like [`Conversations::check`]; the owner of a group without members sees that nothing was said.
    async fn visible_history(&self, number: i64) -> Result<(), Error> {
        match self.check(number).await {
            Err(Error::ThreadNotFound) => self.get(number).await.map(|_| ()),
            checked => checked,
        }
    }

    /// The number of the user's thread with somebody: whoever is of its pair is a member.
    async fn pair_number(&self, pair: Pair) -> Result<i64, Error> {
        let number = conversation::Entity::find()
            .select_only()
            .column(conversation::Column::Number)
            .filter(conversation::Column::LowId.eq(pair.low))
            .filter(conversation::Column::HighId.eq(pair.high))
            .into_tuple()
            .one(self.database.read())
            .await?;
        number.ok_or(Error::ThreadNotFound)
    }

    /// A page that is short enough to be read before its length is known.
    async fn short_page(
        &self,
        query: Select<entry::Entity>,
        window: &Window,
    ) -> Result<(Vec<Stored>, bool), DbErr> {
        let order = if window.newest {
            Order::Desc
        } else {
            Order::Asc
        };
        let rows = query
            .expr_as(weight(), "bytes")
            .order_by(entry::Column::Seq, order)
            .limit(u64::from(window.limit) + 1)
            .into_model::<Weighed>()
            .all(self.database.read())
            .await?;
        let extents: Vec<Extent> = rows
            .iter()
            .map(|row| Extent {
                seq: row.joined.row.seq,
                bytes: row.bytes,
            })
            .collect();
        let Page { seqs, more } = fill(&extents, window.limit, BYTES);
        let fits = |row: &Joined| {
            seqs.as_ref()
                .is_some_and(|seqs| seqs.contains(&row.row.seq))
        };
        let rows = rows.into_iter().map(|row| row.joined).filter(fits);
        let mut entries: Vec<Stored> = rows.map(Into::into).collect();
        if window.newest {
            entries.reverse();
        }
        announce(self.database.read(), &mut entries).await?;
        Ok((entries, more))
    }

    async fn between(&self, number: i64, window: &Window) -> Result<Select<entry::Entity>, Error> {
        let mut query = joined()
            .filter(entry::Column::Thread.eq(number))
            .filter(entry::Column::Kind.is_in(window.kinds.iter().copied()));
        if let Some(id) = window.before {
            let seq = message_seq(self.database.read(), number, id).await?;
            query = query.filter(entry::Column::Seq.lt(seq));
        }
        if let Some(id) = window.after {
            let seq = message_seq(self.database.read(), number, id).await?;
            query = query.filter(entry::Column::Seq.gt(seq));
        }
        if let Some(from) = window.from {
            query = query.filter(entry::Column::CreatedAt.gte(from));
        }
        if let Some(until) = window.until {
            query = query.filter(entry::Column::CreatedAt.lt(until));
        }
        Ok(query)
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
        query: Select<entry::Entity>,
        seqs: Option<std::ops::RangeInclusive<i64>>,
    ) -> Result<Vec<Stored>, DbErr> {
        let Some(seqs) = seqs else {
            return Ok(Vec::new());
        };
        let query = query
            .filter(entry::Column::Seq.between(*seqs.start(), *seqs.end()))
            .order_by_asc(entry::Column::Seq);
        read(self.database.read(), query).await
    }
}
