//! The messages of a conversation, page by page.

use sea_orm::{ColumnTrait, DbErr, Order, QueryFilter, QueryOrder, QuerySelect, Select};

use super::membership::message_seq;
use super::{Conversations, Stored, entry, joined, read, weight};
use crate::error::Error;
use crate::page::{BYTES, Extent, Page, fill};
use crate::people::Window;

impl Conversations<'_> {
    /// A page of messages in ascending `seq`, and whether there are more between the bounds.
    pub(crate) async fn history(
        &self,
        number: i64,
        window: &Window,
    ) -> Result<(Vec<Stored>, bool), Error> {
        self.visible_history(number).await?;
        let query = self.between(number, window).await?;
        let Some(around) = window.around else {
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
