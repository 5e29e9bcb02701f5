//! Users and the models they may ask.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use confab_database::{Sql, violated_unique};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    FromQueryResult, NotSet, QueryFilter, QueryOrder, QuerySelect, Select, Set,
};
use uuid::Uuid;

use super::entity::ledger::Kind;
use super::entity::{ledger, model_grant, user_account};
use super::grants::{GRANTED, models_granted, models_in};
use super::{Store, lock_user};
use crate::error::Error;
use crate::sign_in::Session;
use crate::user::{User, Username};

/// What a user starts with.
pub(crate) struct NewUser {
    pub(crate) id: Uuid,
    pub(crate) username: Username,
    /// Each once.
    pub(crate) models: Vec<i32>,
    /// Micro-dollars, 0 or more.
    pub(crate) deposit: i64,
    pub(crate) created_at: DateTime<Utc>,
}

impl Store {
    pub(crate) async fn create_user(&self, new: NewUser) -> Result<User, Error> {
        let transaction = self.database.begin().await?;
        let models = new.models.clone();
        let user = insert_user(&transaction, new).await?;
        transaction.commit().await?;
        Ok(with_models(user, models))
    }

    pub(crate) async fn user(&self, id: Uuid) -> Result<Option<User>, Error> {
        self.find(user_account::Entity::find_by_id(id)).await
    }

    pub(crate) async fn user_numbered(&self, number: i64) -> Result<Option<User>, Error> {
        let by_number = user_account::Column::Number.eq(number);
        self.find(user_account::Entity::find().filter(by_number))
            .await
    }

    pub(crate) async fn user_named(&self, username: &Username) -> Result<Option<User>, Error> {
        let by_name = user_account::Column::Username.eq(username.as_str());
        self.find(user_account::Entity::find().filter(by_name))
            .await
    }

    async fn find(&self, query: Select<user_account::Entity>) -> Result<Option<User>, Error> {
        let found = query
            .expr_as(models_granted(), GRANTED)
            .into_model::<UserAndModels>()
            .one(self.database.read())
            .await?;
        Ok(found.map(|found| with_models(found.user, models_in(found.granted))))
    }

    /// Users and their sign-in sessions, those that are theirs and go on.
    pub(crate) async fn users_in_sessions(
        &self,
        wanted: &[(Uuid, Uuid)],
        now: DateTime<Utc>,
    ) -> Result<HashMap<(Uuid, Uuid), (User, Session)>, Error> {
        let wanted: HashSet<(Uuid, Uuid)> = wanted.iter().copied().collect();
        let rows = wanted
            .into_iter()
            .map(|(user, session)| [user.into(), session.into()]);
        let database = self.database.read();
        let query = Sql::new("WITH wanted (wanted_user, wanted_session) AS (")
            .rows(rows)
            .text(
                ") SELECT user_account.id, number, username, user_account.created_at, \
                 sign_in_session.id AS session_id, expires_at, \
                 (SELECT string_agg(CAST(model_id AS text), ',') FROM model_grant \
                 WHERE model_grant.user_id = wanted_user) AS granted \
                 FROM wanted JOIN sign_in_session ON sign_in_session.id = wanted_session AND user_id = wanted_user \
                 JOIN user_account ON user_account.id = wanted_user \
                 WHERE ended_at IS NULL AND expires_at > ",
            )
            .value(now)
            .statement(database.get_database_backend());
        let found = database.query_all_raw(query).await?;
        let found = found.iter().map(|row| {
            let row = UserInSession::from_query_result(row, "")?;
            Ok(((row.id, row.session_id), row.into()))
        });
        found.collect()
    }

    /// Users by ascending number.
    pub(crate) async fn users_after(&self, number: i64, limit: u64) -> Result<Vec<User>, Error> {
        let users = user_account::Entity::find()
            .filter(user_account::Column::Number.gt(number))
            .order_by_asc(user_account::Column::Number)
            .limit(limit)
            .all(self.database.read())
            .await?;
        let granted = model_grant::Entity::find()
            .filter(model_grant::Column::UserId.is_in(users.iter().map(|user| user.id)))
            .order_by_asc(model_grant::Column::ModelId)
            .all(self.database.read())
            .await?;
        let mut models: HashMap<Uuid, Vec<i32>> = HashMap::new();
        for grant in granted {
            models
                .entry(grant.user_id)
                .or_default()
                .push(grant.model_id);
        }
        Ok(users
            .into_iter()
            .map(|user| {
                let models = models.remove(&user.id).unwrap_or_default();
                with_models(user, models)
            })
            .collect())
    }

    /// Replaces the models, each given once, that a user may ask.
    pub(crate) async fn grant_models(&self, id: Uuid, models: Vec<i32>) -> Result<User, Error> {
        let transaction = self.database.begin().await?;
        let user = lock_user(&transaction, id).await?;
        model_grant::Entity::delete_many()
            .filter(model_grant::Column::UserId.eq(id))
            .exec(&transaction)
            .await?;
        insert_grants(&transaction, id, &models).await?;
        transaction.commit().await?;
        Ok(with_models(user, models))
    }
}

/// A user with what they start with.
pub(super) async fn insert_user(
    transaction: &DatabaseTransaction,
    new: NewUser,
) -> Result<user_account::Model, Error> {
    let row = user_account::ActiveModel {
        id: Set(new.id),
        number: NotSet,
        username: Set(new.username.into_string()),
        balance_microdollars: Set(new.deposit),
        reserved_microdollars: Set(0),
        created_at: Set(new.created_at),
    };
    let user = row.insert(transaction).await.map_err(name_collision)?;
    if new.deposit > 0 {
        let opening = ledger::ActiveModel {
            id: NotSet,
            user_id: Set(new.id),
            amount_microdollars: Set(new.deposit),
            kind: Set(Kind::Deposit),
            run_id: Set(None),
            deposit_key: Set(None),
            api_key_id: Set(None),
            booked_at: Set(new.created_at),
        };
        opening.insert(transaction).await?;
    }
    insert_grants(transaction, new.id, &new.models).await?;
    Ok(user)
}

async fn insert_grants(
    transaction: &DatabaseTransaction,
    user_id: Uuid,
    models: &[i32],
) -> Result<(), DbErr> {
    if models.is_empty() {
        return Ok(());
    }
    let rows = models.iter().map(|&model_id| model_grant::ActiveModel {
        user_id: Set(user_id),
        model_id: Set(model_id),
    });
    model_grant::Entity::insert_many(rows)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

#[derive(FromQueryResult)]
struct UserAndModels {
    #[sea_orm(nested)]
    user: user_account::Model,
    granted: Option<String>,
}

#[derive(FromQueryResult)]
struct UserInSession {
    id: Uuid,
    number: i64,
    username: String,
    created_at: DateTime<Utc>,
    session_id: Uuid,
    expires_at: DateTime<Utc>,
    granted: Option<String>,
}

impl From<UserInSession> for (User, Session) {
    fn from(row: UserInSession) -> Self {
        let session = Session {
            id: row.session_id,
            user_id: row.id,
            expires_at: row.expires_at,
        };
        let user = User {
            id: row.id,
            number: row.number,
            username: row.username,
            models: models_in(row.granted),
            created_at: row.created_at,
        };
        (user, session)
    }
}

pub(super) fn with_models(user: user_account::Model, models: Vec<i32>) -> User {
    User {
        id: user.id,
        number: user.number,
        username: user.username,
        models,
        created_at: user.created_at,
    }
}

fn name_collision(error: DbErr) -> Error {
    match violated_unique(&error) {
        Some(what) if what.contains("username") => Error::UsernameTaken,
        Some(_) => Error::UserIdTaken,
        None => Error::Database(error),
    }
}
