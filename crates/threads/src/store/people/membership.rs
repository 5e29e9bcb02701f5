//! Who comes into a group, and how far members have read.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{Conversation, Conversations, Stored, conversation, entry};
use crate::answer::State;
use crate::error::Error;
use crate::exchange::AuthorKind;
use crate::people::EntryKind;
use crate::store::message::Attachments;
use crate::store::{member, thread};
use crate::thread::Kind;

/// What came of joining.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) joined: Stored,
    /// The user was a member before.
    pub(crate) already: bool,
    pub(crate) newest_message_id: i64,
}

impl Conversations<'_> {
    /// Makes a group of nobody, owned by the user.
    pub(crate) async fn create_group(&self, at: DateTime<Utc>) -> Result<Conversation, Error> {
        let row = thread::ActiveModel {
            number: ActiveValue::NotSet,
            id: ActiveValue::Set(Uuid::now_v7()),
            kind: ActiveValue::Set(Kind::Group),
            owner_id: ActiveValue::Set(self.user),
            title: ActiveValue::Set(String::new()),
            instructions: ActiveValue::Set(String::new()),
            model_id: ActiveValue::Set(None),
            last_seq: ActiveValue::Set(0),
            summary: ActiveValue::Set(String::new()),
            summary_seq: ActiveValue::Set(0),
            created_at: ActiveValue::Set(at),
            active_at: ActiveValue::Set(at),
            deletions: ActiveValue::Set(0),
        };
        let inserted = thread::Entity::insert(row)
            .exec(self.database.write())
            .await?;
        self.get(inserted.last_insert_id).await
    }

    /// Makes the user a member of a group, having read up to that message; finds the earlier join of a member.
    pub(crate) async fn join(
        &self,
        number: i64,
        read_message: Option<i64>,
        at: DateTime<Utc>,
    ) -> Result<Join, Error> {
        let transaction = self.database.begin().await?;
        let mut group = conversation::Entity::find_by_id(number)
            .filter(conversation::Column::Kind.eq(Kind::Group))
            .lock_exclusive()
            .one(&transaction)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let read_seq = match read_message {
            Some(id) => Some(message_seq(&transaction, number.into(), id).await?),
            None => None,
        };
        let newest_message_id = newest(&transaction, number).await?.unwrap_or(0);
        let before = self.membership(&transaction, number).await?;
        let already = before.is_some();
        let row = if let Some(member) = before {
            // The entry of a join is the first one after what was there before.
            entry::Entity::find()
                .filter(entry::Column::Thread.eq(number))
                .filter(entry::Column::Seq.eq(member.joined_seq + 1))
                .one(&transaction)
                .await?
                .ok_or(Error::ThreadNotFound)?
        } else {
            let member = member::Model {
                thread: number,
                user_id: self.user,
                joined_seq: group.last_seq,
                read_seq: read_seq.unwrap_or(0),
                joined_at: Some(at),
            };
            member::Entity::insert(member.into_active_model().reset_all())
                .exec_without_returning(&transaction)
                .await?;
            group.membership_version += 1;
            group.active_at = at;
            self.log(&transaction, &mut group, EntryKind::Joined, read_seq, at)
                .await?
        };
        transaction.commit().await?;
        Ok(Join {
            joined: Stored {
                row,
                place: group.place(),
                announced: None,
            },
            already,
            newest_message_id,
        })
    }

    /// Moves the user's read mark forwards to a message. `None`: it was there or beyond.
    pub(crate) async fn mark_read(
        &self,
        number: i64,
        message: i64,
        at: DateTime<Utc>,
    ) -> Result<Option<Stored>, Error> {
        self.membership(self.database.read(), number)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let transaction = self.database.begin().await?;
        let mut thread = conversation::Entity::find_by_id(number)
            .filter(conversation::Column::Kind.is_in([Kind::Direct, Kind::Group]))
            .lock_exclusive()
            .one(&transaction)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let member = self
            .membership(&transaction, number)
            .await?
            .ok_or(Error::ThreadNotFound)?;
        let seq = message_seq(&transaction, number.into(), message).await?;
        if seq <= member.read_seq {
            transaction.rollback().await?;
            return Ok(None);
        }
        member::Entity::update_many()
            .col_expr(member::Column::ReadSeq, Expr::val(seq))
            .filter(member::Column::Thread.eq(number))
            .filter(member::Column::UserId.eq(self.user))
            .exec(&transaction)
            .await?;
        let row = self
            .log(&transaction, &mut thread, EntryKind::Read, Some(seq), at)
            .await?;
        transaction.commit().await?;
        Ok(Some(Stored {
            row,
            place: thread.place(),
            announced: None,
        }))
    }

    async fn membership(
        &self,
        database: &impl ConnectionTrait,
        number: i64,
    ) -> Result<Option<member::Model>, DbErr> {
        member::Entity::find_by_id((number, self.user))
            .one(database)
            .await
    }

    /// Appends an entry of the user to a thread whose row is locked, and stores that row.
    async fn log(
        &self,
        transaction: &impl ConnectionTrait,
        thread: &mut conversation::Model,
        kind: EntryKind,
        read_seq: Option<i64>,
        at: DateTime<Utc>,
    ) -> Result<entry::Model, DbErr> {
        thread.last_seq += 1;
        conversation::Entity::update_many()
            .col_expr(conversation::Column::LastSeq, Expr::val(thread.last_seq))
            .col_expr(
                conversation::Column::MembershipVersion,
                Expr::val(thread.membership_version),
            )
            .col_expr(conversation::Column::ActiveAt, Expr::val(thread.active_at))
            .filter(conversation::Column::Number.eq(thread.number))
            .exec(transaction)
            .await?;
        let row = entry::Model {
            id: 0,
            thread: thread.number,
            seq: thread.last_seq,
            kind,
            author_kind: AuthorKind::Person,
            author_id: self.user,
            state: State::Complete,
            content: String::new(),
            attachments: Attachments::default(),
            client_msg_id: None,
            fingerprint: None,
            profile_id: None,
            read_seq,
            refers_to: None,
            membership_version: thread.membership_version,
            traceparent: None,
            created_at: at,
            updated_at: at,
        };
        let mut inserted = row.clone().into_active_model().reset_all();
        inserted.id = ActiveValue::NotSet;
        let inserted = entry::Entity::insert(inserted).exec(transaction).await?;
        Ok(entry::Model {
            id: inserted.last_insert_id,
            ..row
        })
    }
}

/// The place of a message of that thread.
pub(super) async fn message_seq(
    database: &impl ConnectionTrait,
    thread: Expr,
    id: i64,
) -> Result<i64, Error> {
    entry::Entity::find_by_id(id)
        .select_only()
        .column(entry::Column::Seq)
        .filter(Expr::col((entry::Entity, entry::Column::Thread)).eq(thread))
        .filter(entry::Column::Kind.is_in(EntryKind::MESSAGES))
        .into_tuple()
        .one(database)
        .await?
        .ok_or(Error::MessageNotFound)
}

async fn newest(database: &impl ConnectionTrait, thread: i64) -> Result<Option<i64>, DbErr> {
    entry::Entity::find()
        .select_only()
        .column(entry::Column::Id)
        .filter(entry::Column::Thread.eq(thread))
        .filter(entry::Column::Kind.is_in(EntryKind::MESSAGES))
        .order_by_desc(entry::Column::Seq)
        .into_tuple()
        .one(database)
        .await
}
