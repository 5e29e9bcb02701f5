//! Reading a thread's log. Deleted messages keep their `seq` and are left out.

use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{Threads, message};
use crate::answer::State;
use crate::error::Error;
use crate::page::{BYTES, Bounds, Extent, fill};
use crate::thread::Which;

impl Threads<'_> {
    /// A page of messages in ascending `seq`, and whether there are more between the bounds.
    pub(crate) async fn messages(
        &self,
        thread: Uuid,
        bounds: Bounds,
    ) -> Result<(Vec<message::Model>, bool), Error> {
        let thread = self.get(Which::Id(thread)).await?.number;
        // Lengths first: what does not fit into the page is never loaded.
        let page = fill(&self.extents(thread, bounds).await?, bounds.limit, BYTES);
        let Some(seqs) = page.seqs else {
            return Ok((Vec::new(), false));
        };
        let messages = message::Entity::find()
            .filter(message::Column::Thread.eq(thread))
            .filter(message::Column::State.ne(State::Deleted))
            .filter(message::Column::Seq.between(*seqs.start(), *seqs.end()))
            .order_by_asc(message::Column::Seq)
            .all(self.database.read())
            .await?;
        Ok((messages, page.more))
    }

    /// One more than a page may hold, to see whether there are more.
    async fn extents(&self, thread: i64, bounds: Bounds) -> Result<Vec<Extent>, Error> {
        let order = if bounds.newest {
            Order::Desc
        } else {
            Order::Asc
        };
        let rows = message::Entity::find()
            .select_only()
            .column(message::Column::Seq)
            .expr_as(weight(), "bytes")
            .filter(message::Column::Thread.eq(thread))
            .filter(message::Column::State.ne(State::Deleted))
            .filter(message::Column::Seq.gt(bounds.after))
            .filter(message::Column::Seq.lt(bounds.before))
            .order_by(message::Column::Seq, order)
            .limit(u64::from(bounds.limit) + 1)
            .into_tuple::<(i64, i64)>()
            .all(self.database.read())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(seq, bytes)| Extent { seq, bytes })
            .collect())
    }
}

/// How long a message's text is in UTF-8. Both databases know without reading it.
pub(super) fn bytes() -> Expr {
    octets(Expr::col(message::Column::Content))
}

/// About how many bytes a message takes in a reply: its text and its files.
pub(super) fn weight() -> Expr {
    let files = Expr::col((message::Entity, message::Column::Attachments)).cast_as("text");
    bytes().add(octets(files))
}

fn octets(text: Expr) -> Expr {
    Expr::expr(Func::cust("octet_length").arg(text)).cast_as("bigint")
}
