//! Whose a thread with a model is, asked on behalf of nobody in particular.

use confab_database::Database;
use sea_orm::{ColumnTrait, DerivePartialModel, EntityTrait, QueryFilter, Select};
use uuid::Uuid;

use super::{message, thread};
use crate::answer::State;
use crate::error::Error;
use crate::thread::Kind;

/// A thread and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "thread::Entity")]
pub(crate) struct Owned {
    pub(crate) number: i64,
    pub(crate) id: Uuid,
    pub(crate) owner_id: Uuid,
}

pub(crate) async fn locate_thread(database: &Database, number: i64) -> Result<Owned, Error> {
    let thread = threads().filter(thread::Column::Number.eq(number));
    let found = thread.into_partial_model().one(database.read()).await?;
    found.ok_or(Error::ThreadNotFound)
}

/// The thread that this message is in.
pub(crate) async fn locate_message(database: &Database, id: i64) -> Result<Owned, Error> {
    let thread = threads()
        .inner_join(message::Entity)
        .filter(message::Column::Id.eq(id))
        .filter(message::Column::State.ne(State::Deleted));
    let found = thread.into_partial_model().one(database.read()).await?;
    found.ok_or(Error::MessageNotFound)
}

fn threads() -> Select<thread::Entity> {
    thread::Entity::find().filter(thread::Column::Kind.eq(Kind::Assistant))
}
