//! Sign-in sessions, their refresh tokens, tickets and what was revoked.
//!
//! Whoever changes a session locks its row first and the revocations' counter last.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Set,
};
use uuid::Uuid;

use super::Store;
use super::sign_in_entity::{
    refresh_token, revocation, revocation_counter, sign_in_session, ticket,
};
use crate::error::Error;
use crate::sign_in::{Presented, Session, UsedTicket};

/// The counter's one row.
const COUNTER: i32 = 1;

/// A session that was ended before its time.
pub(crate) type Revocation = revocation::Model;

impl Store {
    /// Begins a session with its first refresh token.
    pub(crate) async fn begin_session(
        &self,
        session: Session,
        refresh: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let transaction = self.database.begin().await?;
        let row = sign_in_session::ActiveModel {
            id: Set(session.id),
            user_id: Set(session.user_id),
            generation: Set(0),
            rotated_at: Set(now),
            begun_at: Set(now),
            expires_at: Set(session.expires_at),
            ended_at: Set(None),
        };
        row.insert(&transaction).await?;
        insert_refresh(&transaction, session.id, refresh, 0).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes a refresh token for another one. A token that comes again when it should be forgotten ends its session.
    pub(crate) async fn rotate(
        &self,
        presented: Vec<u8>,
        next: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<Session, Error> {
        let transaction = self.database.begin().await?;
        let token = refresh_token::Entity::find_by_id(presented)
            .one(&transaction)
            .await?
            .ok_or(Error::TokenInvalid)?;
        let row = lock_session(&transaction, token.session_id)
            .await?
            .filter(|row| row.ended_at.is_none())
            .ok_or(Error::TokenInvalid)?;
        if row.expires_at <= now {
            return Err(Error::TokenExpired);
        }
        let session = Session::from(&row);
        let current = row.generation;
        match Presented::of(token.generation, current, row.rotated_at, now) {
            Presented::Current => {
                let mut row = row.into_active_model();
                row.generation = Set(current + 1);
                row.rotated_at = Set(now);
                row.update(&transaction).await?;
                insert_refresh(&transaction, session.id, next, current + 1).await?;
            }
            Presented::Repeated => insert_refresh(&transaction, session.id, next, current).await?,
            Presented::Reused => {
                end(&transaction, row, now).await?;
                transaction.commit().await?;
                tracing::warn!(session = %session.id, "a refresh token was used again; its session is ended");
                return Err(Error::TokenInvalid);
            }
        }
        transaction.commit().await?;
        Ok(session)
    }

    /// The session of a refresh token, whichever generation it is of.
    pub(crate) async fn session_of(&self, refresh: Vec<u8>) -> Result<Option<Uuid>, Error> {
        let token = refresh_token::Entity::find_by_id(refresh)
            .one(self.database.read())
            .await?;
        Ok(token.map(|token| token.session_id))
    }

    /// A session that goes on.
    pub(crate) async fn session(
        &self,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<Session>, Error> {
        let row = sign_in_session::Entity::find_by_id(id)
            .one(self.database.read())
            .await?;
        Ok(row
            .filter(|row| row.ended_at.is_none() && row.expires_at > now)
            .map(|row| Session::from(&row)))
    }

    /// Ends a session, once, if there is one.
    pub(crate) async fn end_session(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), Error> {
        let transaction = self.database.begin().await?;
        let row = lock_session(&transaction, id).await?;
        if let Some(row) = row.filter(|row| row.ended_at.is_none()) {
            end(&transaction, row, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    pub(crate) async fn keep_ticket(&self, hash: Vec<u8>, ticket: UsedTicket) -> Result<(), Error> {
        let row = ticket::ActiveModel {
            hash: Set(hash),
            user_id: Set(ticket.user_id),
            session_id: Set(ticket.session_id),
            expires_at: Set(ticket.expires_at),
            connection_ends_at: Set(ticket.connection_ends_at),
        };
        ticket::Entity::insert(row)
            .exec_without_returning(self.database.write())
            .await?;
        Ok(())
    }

    /// Takes a ticket away: of several who come with it, one gets it.
    pub(crate) async fn use_ticket(&self, hash: Vec<u8>) -> Result<Option<UsedTicket>, Error> {
        let taken = ticket::Entity::delete_many()
            .filter(ticket::Column::Hash.eq(hash))
            .exec_with_returning(self.database.write())
            .await?;
        Ok(taken.into_iter().next().map(|row| UsedTicket {
            user_id: row.user_id,
            session_id: row.session_id,
            expires_at: row.expires_at,
            connection_ends_at: row.connection_ends_at,
        }))
    }

    /// The number of the latest revocation.
    pub(crate) async fn last_revocation(&self) -> Result<i64, Error> {
        let counter = revocation_counter::Entity::find_by_id(COUNTER)
            .one(self.database.read())
            .await?;
        Ok(counter.ok_or(Error::NoCounter)?.last)
    }

    /// Revocations by ascending number.
    pub(crate) async fn revocations_after(
        &self,
        id: i64,
        limit: u64,
    ) -> Result<Vec<Revocation>, Error> {
        Ok(revocation::Entity::find()
            .filter(revocation::Column::Id.gt(id))
            .order_by_asc(revocation::Column::Id)
            .limit(limit)
            .all(self.database.read())
            .await?)
    }
}

async fn lock_session(
    transaction: &DatabaseTransaction,
    id: Uuid,
) -> Result<Option<sign_in_session::Model>, Error> {
    Ok(sign_in_session::Entity::find_by_id(id)
        .lock_exclusive()
        .one(transaction)
        .await?)
}

async fn insert_refresh(
    transaction: &DatabaseTransaction,
    session_id: Uuid,
    hash: Vec<u8>,
    generation: i32,
) -> Result<(), Error> {
    let row = refresh_token::ActiveModel {
        hash: Set(hash),
        session_id: Set(session_id),
        generation: Set(generation),
    };
    refresh_token::Entity::insert(row)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// Ends a session whose row is locked, and says so to those who keep its sockets.
async fn end(
    transaction: &DatabaseTransaction,
    row: sign_in_session::Model,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (session_id, user_id) = (row.id, row.user_id);
    let mut row = row.into_active_model();
    row.ended_at = Set(Some(now));
    row.update(transaction).await?;
    let next = Expr::col(revocation_counter::Column::Last).add(1);
    let counter = revocation_counter::Entity::update_many()
        .col_expr(revocation_counter::Column::Last, next)
        .filter(revocation_counter::Column::Id.eq(COUNTER))
        .exec_with_returning(transaction)
        .await?;
    let revocation = revocation::ActiveModel {
        id: Set(counter.first().ok_or(Error::NoCounter)?.last),
        session_id: Set(session_id),
        user_id: Set(user_id),
        revoked_at: Set(now),
    };
    revocation.insert(transaction).await?;
    Ok(())
}

impl From<&sign_in_session::Model> for Session {
    fn from(row: &sign_in_session::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            expires_at: row.expires_at,
        }
    }
}
