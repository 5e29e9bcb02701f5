//! Balances, the ledger behind them, and deposits. What runs cost is in [`super::books`].

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect, Set,
};
use uuid::Uuid;

use super::books::save_accounts;
use super::entity::ledger::{self, Kind};
use super::entity::user_account;
use super::{Store, lock_user};
use crate::account::Account;
use crate::error::Error;

impl Store {
    pub(crate) async fn account(&self, user_id: Uuid) -> Result<Account, Error> {
        let user = user_account::Entity::find_by_id(user_id)
            .one(self.database.read())
            .await?
            .ok_or(Error::UserNotFound)?;
        Ok(Account::from(&user))
    }

    /// Entries of an account, oldest first.
    pub(crate) async fn ledger_after(
        &self,
        user_id: Uuid,
        id: i64,
        limit: u64,
    ) -> Result<Vec<ledger::Model>, Error> {
        self.account(user_id).await?;
        let entries = ledger::Entity::find()
            .filter(ledger::Column::UserId.eq(user_id))
            .filter(ledger::Column::Id.gt(id))
            .order_by_asc(ledger::Column::Id)
            .limit(limit)
            .all(self.database.read())
            .await?;
        Ok(entries)
    }

    /// Adds money, once per key.
    pub(crate) async fn deposit(
        &self,
        user_id: Uuid,
        amount: i64,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Account, Error> {
        let transaction = self.database.begin().await?;
        let user = lock_user(&transaction, user_id).await?;
        let mut account = Account::from(&user);
        let earlier = ledger::Entity::find()
            .filter(ledger::Column::UserId.eq(user_id))
            .filter(ledger::Column::DepositKey.eq(key))
            .one(&transaction)
            .await?;
        match earlier {
            Some(entry) if entry.amount_microdollars == amount => return Ok(account),
            Some(_) => return Err(Error::Invalid("this key booked another amount")),
            None => account.deposit(amount)?,
        }
        let entry = ledger::ActiveModel {
            id: NotSet,
            user_id: Set(user_id),
            amount_microdollars: Set(amount),
            kind: Set(Kind::Deposit),
            run_id: Set(None),
            deposit_key: Set(Some(key.to_owned())),
            api_key_id: Set(None),
            booked_at: Set(now),
        };
        entry.insert(&transaction).await?;
        save_accounts(&transaction, &[(user.id, account)]).await?;
        transaction.commit().await?;
        Ok(account)
    }
}

impl From<&user_account::Model> for Account {
    fn from(user: &user_account::Model) -> Self {
        Self {
            balance: user.balance_microdollars,
            reserved: user.reserved_microdollars,
        }
    }
}
