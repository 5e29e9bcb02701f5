//! Users who register, and what front ends show of users.

use chrono::{DateTime, Utc};
use confab_database::violated_unique;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, Set,
};
use uuid::Uuid;

use super::sign_in_entity::{password, profile};
use super::users::{insert_user, with_models};
use super::{NewUser, Store, lock_user};
use crate::error::Error;
use crate::profile::{Changes, Email, Profile};
use crate::user::{User, Username};

/// Who an attempt to sign in is for, as far as there is somebody.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) user_id: Uuid,
    /// A PHC string; none for users who do not sign in with a password.
    pub(crate) password_hash: Option<String>,
}

impl Store {
    /// Makes a user with a password and what is known of them.
    pub(crate) async fn register(
        &self,
        new: NewUser,
        changes: Changes,
        password_hash: String,
    ) -> Result<User, Error> {
        let transaction = self.database.begin().await?;
        let (id, now, models) = (new.id, new.created_at, new.models.clone());
        let user = insert_user(&transaction, new).await?;
        let row = profile::ActiveModel {
            id: Set(id),
            ..Default::default()
        };
        profile::Entity::update(changed(row, changes))
            .exec(&transaction)
            .await
            .map_err(email_collision)?;
        let password = password::ActiveModel {
            user_id: Set(id),
            hash: Set(password::PasswordHash(password_hash)),
            set_at: Set(now),
        };
        password.insert(&transaction).await?;
        transaction.commit().await?;
        Ok(with_models(user, models))
    }

    /// Whom a name means that somebody signs in with.
    pub(crate) async fn candidate_named(
        &self,
        username: &Username,
    ) -> Result<Option<Candidate>, Error> {
        self.candidate(profile::Column::Username.eq(username.as_str()))
            .await
    }

    /// Whom an address means that somebody signs in with.
    pub(crate) async fn candidate_at(&self, email: &Email) -> Result<Option<Candidate>, Error> {
        self.candidate(profile::Column::EmailFolded.eq(email.folded()))
            .await
    }

    async fn candidate(
        &self,
        who: sea_orm::sea_query::SimpleExpr,
    ) -> Result<Option<Candidate>, Error> {
        let read = self.database.read();
        let Some(user) = profile::Entity::find().filter(who).one(read).await? else {
            return Ok(None);
        };
        let password = password::Entity::find_by_id(user.id).one(read).await?;
        Ok(Some(Candidate {
            user_id: user.id,
            password_hash: password.map(|row| row.hash.0),
        }))
    }

    /// The profiles of those users that there are, in no order.
    pub(crate) async fn profiles(&self, ids: &[Uuid]) -> Result<Vec<Profile>, Error> {
        let rows = profile::Entity::find()
            .filter(profile::Column::Id.is_in(ids.iter().copied()))
            .all(self.database.read())
            .await?;
        Ok(rows.into_iter().map(Profile::from).collect())
    }

    pub(crate) async fn update_profile(
        &self,
        id: Uuid,
        changes: Changes,
        now: DateTime<Utc>,
    ) -> Result<Profile, Error> {
        let transaction = self.database.begin().await?;
        lock_user(&transaction, id).await?;
        let row = profile::Entity::find_by_id(id).one(&transaction).await?;
        let mut row = changed(row.ok_or(Error::UserNotFound)?.into_active_model(), changes);
        row.updated_at = Set(Some(now));
        let row = row.update(&transaction).await.map_err(email_collision)?;
        transaction.commit().await?;
        Ok(row.into())
    }
}

fn changed(mut row: profile::ActiveModel, changes: Changes) -> profile::ActiveModel {
    let texts = [
        (&mut row.fullname, changes.fullname),
        (&mut row.country_code, changes.country_code),
        (&mut row.phone_number, changes.phone_number),
        (&mut row.gender, changes.gender),
        (&mut row.photo, changes.photo),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            *column = Set(text);
        }
    }
    if let Some(day) = changes.date_of_birth {
        row.date_of_birth = Set(day);
    }
    if let Some(email) = changes.email {
        row.email_folded = Set(email.as_ref().map(Email::folded));
        row.email = Set(email.map_or_else(String::new, |email| email.as_str().to_owned()));
    }
    row
}

fn email_collision(error: DbErr) -> Error {
    match violated_unique(&error) {
        Some(_) => Error::EmailTaken,
        None => Error::Database(error),
    }
}

impl From<profile::Model> for Profile {
    fn from(row: profile::Model) -> Self {
        Self {
            user_id: row.id,
            number: row.number,
            username: row.username,
            email: row.email,
            fullname: row.fullname,
            country_code: row.country_code,
            phone_number: row.phone_number,
            gender: row.gender,
            date_of_birth: row.date_of_birth,
            photo: row.photo,
            created_at: row.created_at,
            updated_at: row.updated_at.unwrap_or(row.created_at),
        }
    }
}
