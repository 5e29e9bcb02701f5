//! Reading a thread's log. Deleted messages keep their `seq` and are left out.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement, SubQueryStatement};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{Threads, message, thread};
use crate::answer::State;
use crate::error::Error;
use crate::page::{BYTES, Bounds, Extent, fill};
use crate::thread::{Kind, Which};

impl Threads<'_> {
    /// A page of messages in ascending `seq`, and whether there are more between the bounds.
    pub(crate) async fn messages(
        &self,
        thread: Uuid,
        bounds: Bounds,
    ) -> Result<(Vec<message::Model>, bool), Error> {
        // Lengths first: what does not fit into the page is never loaded.
        let (number, extents) = self.extents(thread, bounds).await?;
        let page = fill(&extents, bounds.limit, BYTES);
        let Some(seqs) = page.seqs else {
            // Perhaps there is no such thread.
            self.get(Which::Id(thread)).await?;
            return Ok((Vec::new(), false));
        };
        let messages = message::Entity::find()
            .filter(message::Column::Thread.eq(number))
            .filter(message::Column::State.ne(State::Deleted))
            .filter(message::Column::Seq.between(*seqs.start(), *seqs.end()))
            .order_by_asc(message::Column::Seq)
            .all(self.database.read())
            .await?;
        Ok((messages, page.more))
    }

    /// The thread's number and one more than a page may hold, to see whether there are more.
    async fn extents(&self, thread: Uuid, bounds: Bounds) -> Result<(i64, Vec<Extent>), Error> {
        let order = if bounds.newest {
            Order::Desc
        } else {
            Order::Asc
        };
        let rows = message::Entity::find()
            .select_only()
            .column(message::Column::Seq)
            .expr_as(weight(), "bytes")
            .column(message::Column::Thread)
            .filter(
                Expr::col((message::Entity, message::Column::Thread))
                    .eq(Expr::from(SubQueryStatement::from(self.number_of(thread)))),
            )
            .filter(message::Column::State.ne(State::Deleted))
            .filter(message::Column::Seq.gt(bounds.after))
            .filter(message::Column::Seq.lt(bounds.before))
            .order_by(message::Column::Seq, order)
            .limit(u64::from(bounds.limit) + 1)
            .into_tuple::<(i64, i64, i64)>()
            .all(self.database.read())
            .await?;
        let number = rows.first().map_or(0, |(.., number)| *number);
        let extents = rows.into_iter();
        let extents = extents.map(|(seq, bytes, _)| Extent { seq, bytes });
        Ok((number, extents.collect()))
    }

    /// The number of a thread with a model that the user is a member of.
    fn number_of(&self, thread: Uuid) -> SelectStatement {
        Query::select()
            .column((thread::Entity, thread::Column::Number))
            .from(thread::Entity)
            .and_where(Expr::col((thread::Entity, thread::Column::Id)).eq(thread))
            .and_where(Expr::col((thread::Entity, thread::Column::Kind)).eq(Kind::Assistant))
            .and_where(Expr::exists(self.membership()))
            .to_owned()
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
