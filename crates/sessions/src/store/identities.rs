//! Who the subjects of an outside issuer are here.

use chrono::{DateTime, Utc};
use confab_database::violated_unique;
use sea_orm::{ActiveModelTrait, DatabaseTransaction, EntityTrait, NotSet, Set, TryInsertResult};
use uuid::Uuid;

use super::Store;
use super::entity::{external_identity, user_account};
use crate::error::Error;
use crate::user::{Identity, User, Username};

const NAMES_TRIED: u32 = 10;

impl Store {
    /// The user that an outside issuer vouches for; made when seen for the first time, and once also when seen twice at
    /// the same moment.
    pub(crate) async fn user_of(
        &self,
        identity: &Identity,
        now: DateTime<Utc>,
    ) -> Result<Option<User>, Error> {
        let known = self.known(identity).await?;
        if known.is_some() {
            return Ok(known);
        }
        self.make_known(identity, now).await?;
        self.known(identity).await
    }

    async fn known(&self, identity: &Identity) -> Result<Option<User>, Error> {
        let key = (identity.issuer.clone(), identity.subject.clone());
        let row = external_identity::Entity::find_by_id(key)
            .one(self.database.read())
            .await?;
        match row {
            Some(row) => self.user(row.user_id).await,
            None => Ok(None),
        }
    }

    async fn make_known(&self, identity: &Identity, now: DateTime<Utc>) -> Result<(), Error> {
        let transaction = self.database.begin().await?;
        let row = external_identity::ActiveModel {
            issuer: Set(identity.issuer.clone()),
            subject: Set(identity.subject.clone()),
            user_id: Set(insert_user(&transaction, &identity.username, now).await?),
        };
        match row.insert(&transaction).await {
            Ok(_) => transaction.commit().await?,
            // Somebody else was faster, and the user made here goes with the transaction.
            Err(error) if violated_unique(&error).is_some() => transaction.rollback().await?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Makes a user of this name, with a number after it when the name is taken.
async fn insert_user(
    transaction: &DatabaseTransaction,
    username: &Username,
    now: DateTime<Utc>,
) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    for attempt in 0..NAMES_TRIED {
        let name = match attempt {
            0 => username.clone(),
            _ => username.numbered(attempt),
        };
        let row = user_account::ActiveModel {
            id: Set(id),
            number: NotSet,
            username: Set(name.into_string()),
            balance_microdollars: Set(0),
            reserved_microdollars: Set(0),
            created_at: Set(now),
        };
        let inserted = user_account::Entity::insert(row)
            .on_conflict_do_nothing_on([user_account::Column::Username])
            .exec_without_returning(transaction)
            .await?;
        if matches!(inserted, TryInsertResult::Inserted(1)) {
            return Ok(id);
        }
    }
    Err(Error::UsernamesExhausted)
}
