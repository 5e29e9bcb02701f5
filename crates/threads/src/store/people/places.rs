//! What the thread of a send is, before it is known whether the sender may write there.

use std::collections::HashMap;

use confab_database::Database;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{Joined, Stored, conversation, entry, joined};
use crate::people::{EntryKind, Place};
use crate::thread::Kind;

/// A file's author and the place it was sent to.
pub(crate) type File = (Uuid, Place);

/// The threads between people among these numbers.
pub(crate) async fn places(
    database: &Database,
    numbers: Vec<i64>,
) -> Result<HashMap<i64, Place>, DbErr> {
    let threads = conversation::Entity::find()
        .filter(conversation::Column::Number.is_in(numbers))
        .filter(conversation::Column::Kind.is_in([Kind::Direct, Kind::Group]))
        .all(database.read())
        .await?;
    Ok(threads
        .into_iter()
        .map(|thread| (thread.number, thread.place()))
        .collect())
}

/// The files among these entries of threads between people.
pub(crate) async fn files(database: &Database, ids: Vec<i64>) -> Result<HashMap<i64, File>, DbErr> {
    let files = joined()
        .filter(entry::Column::Id.is_in(ids))
        .filter(entry::Column::Kind.eq(EntryKind::File))
        .into_model::<Joined>()
        .all(database.read())
        .await?;
    Ok(files
        .into_iter()
        .map(Stored::from)
        .map(|file| (file.row.id, (file.row.author_id, file.place)))
        .collect())
}
