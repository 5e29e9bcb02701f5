//! Balances, the ledger behind them, and reservations.

use chrono::{DateTime, Utc};
use confab_database::violated_unique;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait, FromQueryResult, NotSet, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};
use uuid::Uuid;

use super::entity::ledger::{self, Kind};
use super::entity::{model_grant, reservation, user_account};
use super::{Store, api_keys, lock_user};
use crate::account::{Account, Budget, Wish};
use crate::error::Error;

/// What a run asks for before it may cost anything.
pub(crate) struct NewReservation {
    pub(crate) run_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) model_id: i32,
    /// Who asks, when it is a program.
    pub(crate) api_key_id: Option<Uuid>,
    pub(crate) wish: Wish,
    /// When it is released if nobody has settled it.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

/// How a reservation ended.
pub(crate) struct Settled {
    pub(crate) user_id: Uuid,
    pub(crate) charged: i64,
    /// As it is now.
    pub(crate) account: Account,
    /// What the account and the key's budget leave.
    pub(crate) available: i64,
}

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
        save(&transaction, user.id, account).await?;
        transaction.commit().await?;
        Ok(account)
    }

    /// Sets money aside for a run and says how much. A run that has a reservation, open or settled, gets the same
    /// answer again.
    pub(crate) async fn reserve(
        &self,
        new: NewReservation,
        now: DateTime<Utc>,
    ) -> Result<i64, Error> {
        let transaction = self.database.begin().await?;
        let user = lock_user(&transaction, new.user_id).await?;
        let found = Found::of(&transaction, &new).await?;
        if let Some(amount) = found.earlier(new.user_id)? {
            return Ok(amount);
        }
        let mut budget = entitle(&transaction, &new, &found, now).await?;
        let open = if new.wish.is_limited() {
            open_reservations(&transaction, new.user_id).await?
        } else {
            0
        };
        let mut account = Account::from(&user);
        let amount = account.reserve(&mut budget, new.wish, open)?;
        let row = reservation::ActiveModel {
            run_id: Set(new.run_id),
            user_id: Set(new.user_id),
            amount_microdollars: Set(amount),
            charged_microdollars: Set(None),
            background: Set(new.wish.is_background()),
            api_key_id: Set(new.api_key_id),
            opened_at: Set(now),
            settled_at: Set(None),
            expires_at: Set(new.expires_at),
        };
        reservation::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await
            .map_err(run_collision)?;
        save(&transaction, user.id, account).await?;
        if let Some(key) = new.api_key_id {
            api_keys::save_budget(&transaction, key, budget).await?;
        }
        transaction.commit().await?;
        Ok(amount)
    }

    /// Ends a run's reservation and books what the run cost; the first settlement stands.
    ///
    /// The reservation's row is locked first, then the user's. [`Store::reserve`] holds the user's row when it writes a
    /// reservation, but that one is new, so nobody waits for the other way round.
    pub(crate) async fn settle(
        &self,
        run_id: Uuid,
        cost: i64,
        now: DateTime<Utc>,
    ) -> Result<Settled, Error> {
        let transaction = self.database.begin().await?;
        let held = reservation::Entity::find_by_id(run_id)
            .lock_exclusive()
            .one(&transaction)
            .await?
            .ok_or(Error::ReservationNotFound)?;
        let user = lock_user(&transaction, held.user_id).await?;
        let mut account = Account::from(&user);
        let user_id = user.id;
        let key = match held.api_key_id {
            Some(key) => api_keys::find(&transaction, user_id, key).await?,
            None => None,
        };
        let mut budget = key.map_or_else(Budget::unlimited, |key| key.budget);
        if let Some(charged) = held.charged_microdollars {
            return Ok(Settled {
                user_id,
                charged,
                account,
                available: account.available_within(budget),
            });
        }
        let charged = account.settle(&mut budget, held.amount_microdollars, cost);
        if charged > 0 {
            let entry = ledger::ActiveModel {
                id: NotSet,
                user_id: Set(user_id),
                amount_microdollars: Set(-charged),
                kind: Set(Kind::Charge),
                run_id: Set(Some(run_id)),
                deposit_key: Set(None),
                api_key_id: Set(held.api_key_id),
                booked_at: Set(now),
            };
            ledger::Entity::insert(entry)
                .exec_without_returning(&transaction)
                .await?;
        }
        if let Some(key) = held.api_key_id {
            api_keys::save_budget(&transaction, key, budget).await?;
        }
        reservation::Entity::update_many()
            .col_expr(
                reservation::Column::ChargedMicrodollars,
                Expr::value(charged),
            )
            .col_expr(reservation::Column::SettledAt, Expr::value(now))
            .filter(reservation::Column::RunId.eq(run_id))
            .exec(&transaction)
            .await?;
        save(&transaction, user_id, account).await?;
        transaction.commit().await?;
        if charged < cost {
            tracing::warn!(
                cost,
                charged,
                "a run cost more than its user or its key had"
            );
        }
        Ok(Settled {
            user_id,
            charged,
            account,
            available: account.available_within(budget),
        })
    }
}

/// What is there for a reservation before it is made.
#[derive(FromQueryResult)]
struct Found {
    /// Whose reservation the run has already, and of how much.
    holder: Option<Uuid>,
    amount: Option<i64>,
    /// The model, if the user may ask it.
    granted: Option<i32>,
}

impl Found {
    /// Looks with the user's row locked: nobody of theirs reserves in between.
    async fn of(transaction: &DatabaseTransaction, new: &NewReservation) -> Result<Self, Error> {
        use model_grant::{Column as Grant, Entity as Grants};
        use reservation::{Column as Held, Entity as Reservations};
        use user_account::{Column as User, Entity as Users};
        let granted = Condition::all()
            .add(Expr::col((Grants, Grant::UserId)).eq(new.user_id))
            .add(Expr::col((Grants, Grant::ModelId)).eq(new.model_id));
        let query = Query::select()
            .expr_as(Expr::col((Reservations, Held::UserId)), "holder")
            .expr_as(
                Expr::col((Reservations, Held::AmountMicrodollars)),
                "amount",
            )
            .expr_as(Expr::col((Grants, Grant::ModelId)), "granted")
            .from(Users)
            .left_join(
                Reservations,
                Expr::col((Reservations, Held::RunId)).eq(new.run_id),
            )
            .left_join(Grants, granted)
            .and_where(Expr::col((Users, User::Id)).eq(new.user_id))
            .to_owned();
        let statement = transaction.get_database_backend().build(&query);
        let found = Self::find_by_statement(statement).one(transaction).await?;
        found.ok_or(Error::UserNotFound)
    }

    fn earlier(&self, user_id: Uuid) -> Result<Option<i64>, Error> {
        match self.holder {
            Some(holder) if holder != user_id => Err(Error::Invalid(FOREIGN_RUN)),
            _ => Ok(self.amount),
        }
    }
}

/// How many reservations a limit counts.
async fn open_reservations(transaction: &DatabaseTransaction, user_id: Uuid) -> Result<u64, DbErr> {
    reservation::Entity::find()
        .filter(reservation::Column::UserId.eq(user_id))
        .filter(reservation::Column::SettledAt.is_null())
        .filter(reservation::Column::Background.eq(false))
        .count(transaction)
        .await
}

/// Checks that a user who is locked may ask the model, through the key when there is one; gives what that may cost.
async fn entitle(
    transaction: &DatabaseTransaction,
    new: &NewReservation,
    found: &Found,
    now: DateTime<Utc>,
) -> Result<Budget, Error> {
    let key = match new.api_key_id {
        Some(id) => {
            let key = api_keys::find(transaction, new.user_id, id).await?;
            let key = key.and_then(|key| key.good(now).ok());
            Some(key.ok_or(Error::ApiKeyNotFound)?)
        }
        None => None,
    };
    found
        .granted
        .filter(|model| key.as_ref().is_none_or(|key| key.may_ask(*model)))
        .ok_or(Error::ModelNotGranted)?;
    Ok(key.map_or_else(Budget::unlimited, |key| key.budget))
}

const FOREIGN_RUN: &str = "this run is another user's";

/// Two users named the same run at the same moment.
fn run_collision(error: DbErr) -> Error {
    match violated_unique(&error) {
        Some(_) => Error::Invalid(FOREIGN_RUN),
        None => Error::Database(error),
    }
}

/// Writes a locked user's money back, both columns at once as the table's check wants it.
async fn save(
    transaction: &DatabaseTransaction,
    user_id: Uuid,
    account: Account,
) -> Result<(), DbErr> {
    user_account::Entity::update_many()
        .col_expr(
            user_account::Column::BalanceMicrodollars,
            Expr::value(account.balance),
        )
        .col_expr(
            user_account::Column::ReservedMicrodollars,
            Expr::value(account.reserved),
        )
        .filter(user_account::Column::Id.eq(user_id))
        .exec(transaction)
        .await?;
    Ok(())
}

impl From<&user_account::Model> for Account {
    fn from(user: &user_account::Model) -> Self {
        Self {
            balance: user.balance_microdollars,
            reserved: user.reserved_microdollars,
        }
    }
}
