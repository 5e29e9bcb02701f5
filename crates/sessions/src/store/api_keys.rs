//! API keys and the models they may ask.
//!
//! What a key has spent and set aside changes only under the lock on its user's row, as the user's own money does.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    FromQueryResult, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set,
};
use uuid::Uuid;

use super::entity::{api_key, api_key_model, model_grant, user_account};
use super::grants::{GRANTED, listed, models_granted, models_in};
use super::{Store, lock_user};
use crate::account::Budget;
use crate::api_key::{ApiKey, KEYS, Scope};
use crate::error::Error;
use crate::user::User;

impl Store {
    /// Keeps a new key of a user's who may ask all of its models.
    pub(crate) async fn create_api_key(&self, key: ApiKey, hash: Vec<u8>) -> Result<ApiKey, Error> {
        let transaction = self.database.begin().await?;
        lock_user(&transaction, key.user_id).await?;
        let granted = model_grant::Entity::find()
            .filter(model_grant::Column::UserId.eq(key.user_id))
            .filter(model_grant::Column::ModelId.is_in(key.models.iter().copied()))
            .count(&transaction)
            .await?;
        if granted < key.models.len() as u64 {
            return Err(Error::ModelNotGranted);
        }
        let kept = of(key.user_id)
            .filter(api_key::Column::RevokedAt.is_null())
            .count(&transaction)
            .await?;
        if kept >= KEYS {
            return Err(Error::Invalid(
                "a user can have at most 1000 keys; revoke one first",
            ));
        }
        insert(&transaction, &key, hash).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// A user's keys, the newest first. If there are more than can be listed, it is revoked ones that are left out.
    pub(crate) async fn api_keys(&self, user_id: Uuid) -> Result<Vec<ApiKey>, Error> {
        self.account(user_id).await?;
        let read = self.database.read();
        let mut rows = of(user_id)
            .order_by_asc(Expr::col(api_key::Column::RevokedAt).is_not_null())
            .order_by_desc(api_key::Column::Id)
            .limit(KEYS)
            .all(read)
            .await?;
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        let mut models = models_of(read, rows.iter().map(|row| row.id)).await?;
        let keys = rows.into_iter().map(|row| {
            let models = models.remove(&row.id).unwrap_or_default();
            key(row, models)
        });
        Ok(keys.collect())
    }

    /// Ends a user's key; the first time stands.
    pub(crate) async fn revoke_api_key(
        &self,
        user_id: Uuid,
        id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<ApiKey, Error> {
        let transaction = self.database.begin().await?;
        api_key::Entity::update_many()
            .col_expr(api_key::Column::RevokedAt, Expr::value(now))
            .filter(api_key::Column::Id.eq(id))
            .filter(api_key::Column::UserId.eq(user_id))
            .filter(api_key::Column::RevokedAt.is_null())
            .exec(&transaction)
            .await?;
        let revoked = find(&transaction, user_id, id).await?;
        transaction.commit().await?;
        revoked.ok_or(Error::ApiKeyNotFound)
    }

    /// The key of a secret with this hash, and its user.
    pub(crate) async fn api_key_hashed(
        &self,
        hash: Vec<u8>,
    ) -> Result<Option<(ApiKey, User)>, Error> {
        let found = KeyAndUser::selected(api_key::Entity::find())
            .filter(api_key::Column::Hash.eq(hash))
            .into_model::<KeyAndUser>()
            .one(self.database.read())
            .await?;
        Ok(found.map(KeyAndUser::split))
    }
}

/// A user's key, if it is theirs.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    id: Uuid,
) -> Result<Option<ApiKey>, DbErr> {
    let found = of(user_id)
        .filter(api_key::Column::Id.eq(id))
        .expr_as(models_of_key(), KEY_MODELS)
        .into_model::<KeyAndModels>()
        .one(connection)
        .await?;
    Ok(found.map(|found| key(found.row, models_in(found.key_models))))
}

/// Writes down what a key, whose user's row is locked, has spent and set aside; both columns at once as the table's
/// check wants it.
pub(super) async fn save_budget(
    transaction: &DatabaseTransaction,
    id: Uuid,
    budget: Budget,
) -> Result<(), DbErr> {
    api_key::Entity::update_many()
        .col_expr(
            api_key::Column::SpentMicrodollars,
            Expr::value(budget.spent),
        )
        .col_expr(
            api_key::Column::ReservedMicrodollars,
            Expr::value(budget.reserved),
        )
        .filter(api_key::Column::Id.eq(id))
        .exec(transaction)
        .await?;
    Ok(())
}

fn of(user_id: Uuid) -> Select<api_key::Entity> {
    api_key::Entity::find().filter(api_key::Column::UserId.eq(user_id))
}

async fn insert(
    transaction: &DatabaseTransaction,
    key: &ApiKey,
    hash: Vec<u8>,
) -> Result<(), DbErr> {
    let names: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
    let row = api_key::ActiveModel {
        id: Set(key.id),
        user_id: Set(key.user_id),
        hash: Set(hash),
        name: Set(key.name.clone()),
        hint: Set(key.hint.clone()),
        scopes: Set(names.join(" ")),
        budget_microdollars: Set(key.budget.limit),
        spent_microdollars: Set(key.budget.spent),
        reserved_microdollars: Set(key.budget.reserved),
        created_at: Set(key.created_at),
        expires_at: Set(key.expires_at),
        revoked_at: Set(key.revoked_at),
    };
    row.insert(transaction).await?;
    if key.models.is_empty() {
        return Ok(());
    }
    let models = key
        .models
        .iter()
        .map(|&model_id| api_key_model::ActiveModel {
            key_id: Set(key.id),
            model_id: Set(model_id),
        });
    api_key_model::Entity::insert_many(models)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

const KEY_MODELS: &str = "key_models";

/// The models of the key in the row, for [`models_in`].
fn models_of_key() -> SimpleExpr {
    let of_key = Expr::col((api_key_model::Entity, api_key_model::Column::KeyId))
        .equals((api_key::Entity, api_key::Column::Id));
    listed(
        api_key_model::Entity,
        api_key_model::Column::ModelId,
        of_key,
    )
}

#[derive(FromQueryResult)]
struct KeyAndModels {
    #[sea_orm(nested)]
    row: api_key::Model,
    key_models: Option<String>,
}

/// A key and its user, from one row.
#[derive(FromQueryResult)]
struct KeyAndUser {
    #[sea_orm(nested)]
    row: api_key::Model,
    key_models: Option<String>,
    number: i64,
    username: String,
    user_created_at: DateTime<Utc>,
    granted: Option<String>,
}

impl KeyAndUser {
    fn selected(keys: Select<api_key::Entity>) -> Select<api_key::Entity> {
        use user_account::{Column as User, Entity as Users};
        let user = api_key::Entity::belongs_to(Users)
            .from(api_key::Column::UserId)
            .to(User::Id);
        keys.join(JoinType::InnerJoin, user.into())
            .expr_as(models_of_key(), KEY_MODELS)
            .column(User::Number)
            .column(User::Username)
            .column_as(User::CreatedAt, "user_created_at")
            .expr_as(models_granted(), GRANTED)
    }

    fn split(self) -> (ApiKey, User) {
        let user = User {
            id: self.row.user_id,
            number: self.number,
            username: self.username,
            models: models_in(self.granted),
            created_at: self.user_created_at,
        };
        (key(self.row, models_in(self.key_models)), user)
    }
}

/// The models of each key, ascending.
async fn models_of(
    connection: &impl ConnectionTrait,
    keys: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<i32>>, DbErr> {
    let rows = api_key_model::Entity::find()
        .filter(api_key_model::Column::KeyId.is_in(keys))
        .order_by_asc(api_key_model::Column::ModelId)
        .all(connection)
        .await?;
    let mut models: HashMap<Uuid, Vec<i32>> = HashMap::new();
    for row in rows {
        models.entry(row.key_id).or_default().push(row.model_id);
    }
    Ok(models)
}

fn key(row: api_key::Model, models: Vec<i32>) -> ApiKey {
    ApiKey {
        id: row.id,
        user_id: row.user_id,
        name: row.name,
        hint: row.hint,
        scopes: row
            .scopes
            .split_whitespace()
            .filter_map(Scope::named)
            .collect(),
        models,
        budget: Budget {
            limit: row.budget_microdollars,
            spent: row.spent_microdollars,
            reserved: row.reserved_microdollars,
        },
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    }
}
