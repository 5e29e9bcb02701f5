//! Money set aside and booked, for many runs in one transaction. All that the entries are about is read, decided upon
//! in their order, and written.
//!
//! Reservations are locked before users, each in the order of their ids, so that two processes never wait for each other
//! in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use confab_database::{Sql, filled, violated_unique};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait,
    IntoActiveModel, NotSet, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use uuid::Uuid;

use super::entity::ledger::{self, Kind};
use super::entity::{model_grant, reservation, user_account};
use super::{Store, api_keys};
use crate::account::{Account, Budget, Wish};
use crate::api_key::ApiKey;
use crate::error::Error;

#[cfg(test)]
mod tests;

/// What is to be done with a run's money.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Sets money aside. A run that has a reservation, open or settled, gets the same answer again.
    Reserve(NewReservation),
    /// Ends a run's reservation and books what the run cost; the first settlement stands.
    Settle { run_id: Uuid, cost: i64 },
}

/// What a run asks for before it may cost anything.
#[derive(Debug)]
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

/// What came of an entry.
#[derive(Debug)]
pub(crate) enum Booked {
    /// So much is set aside.
    Reserved(i64),
    Settled(Settled),
}

/// How a reservation ended.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) user_id: Uuid,
    pub(crate) charged: i64,
    /// As it is now.
    pub(crate) account: Account,
    /// What the account and the key's budget leave.
    pub(crate) available: i64,
}

const FOREIGN_RUN: &str = "this run is another user's";

/// Why one entry alone could not be written: two users named the same run at the same moment, or the database failed.
pub(crate) fn failure(error: DbErr) -> Error {
    match violated_unique(&error) {
        Some(_) => Error::Invalid(FOREIGN_RUN),
        None => Error::Database(error),
    }
}

impl Store {
    /// Makes the entries, one after another; what one of them is refused for leaves the others alone.
    pub(crate) async fn book(
        &self,
        entries: &[Entry],
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<Booked, Error>>, DbErr> {
        let transaction = self.database.begin().await?;
        let mut page = Page::open(&transaction, entries).await?;
        let booked = entries.iter().map(|entry| page.enter(entry, now)).collect();
        if page.write(&transaction, now).await? {
            transaction.commit().await?;
        }
        Ok(booked)
    }

    /// A single settlement; see [`Entry::Settle`].
    pub(crate) async fn settle(
        &self,
        run_id: Uuid,
        cost: i64,
        now: DateTime<Utc>,
    ) -> Result<Settled, Error> {
        let entry = Entry::Settle { run_id, cost };
        match self.book(&[entry], now).await?.pop() {
            Some(Ok(Booked::Settled(settled))) => Ok(settled),
            Some(Err(error)) => Err(error),
            Some(Ok(Booked::Reserved(_))) | None => Err(Error::ReservationNotFound),
        }
    }
}

/// What some entries are about, with its rows locked, and what they change.
struct Page {
    reservations: BTreeMap<Uuid, Held>,
    users: BTreeMap<Uuid, Holder>,
    /// Users and the models they may ask, as far as it matters.
    granted: HashSet<(Uuid, i32)>,
    keys: HashMap<Uuid, Key>,
    charges: Vec<ledger::ActiveModel>,
}

struct Held {
    row: reservation::Model,
    /// It was not there before.
    new: bool,
    settled: bool,
}

struct Holder {
    account: Account,
    /// Reservations that a limit counts, if anybody asks.
    open: u64,
    changed: bool,
}

struct Key {
    key: ApiKey,
    changed: bool,
}

impl Page {
    async fn open(transaction: &DatabaseTransaction, entries: &[Entry]) -> Result<Self, DbErr> {
        let wanted = || {
            entries.iter().filter_map(|entry| match entry {
                Entry::Reserve(new) => Some(new),
                Entry::Settle { .. } => None,
            })
        };
        let reservations = reservations(transaction, entries).await?;
        let held = reservations.values().map(|held| held.row.user_id);
        let ids: BTreeSet<Uuid> = wanted().map(|new| new.user_id).chain(held).collect();
        let mut users = users(transaction, ids).await?;
        for new in wanted().filter(|new| new.wish.is_limited()) {
            if let Some(holder) = users.get_mut(&new.user_id) {
                holder.open = open_reservations(transaction, new.user_id).await?;
            }
        }
        let granted = if wanted().next().is_some() {
            granted(transaction, wanted()).await?
        } else {
            HashSet::new()
        };
        let of_held = reservations
            .values()
            .filter_map(|held| Some((held.row.api_key_id?, held.row.user_id)));
        let of_wanted = wanted().filter_map(|new| Some((new.api_key_id?, new.user_id)));
        let mut keys = HashMap::new();
        for (id, user) in of_held.chain(of_wanted).collect::<BTreeSet<_>>() {
            if let Some(key) = api_keys::find(transaction, user, id).await? {
                let changed = false;
                keys.insert(id, Key { key, changed });
            }
        }
        Ok(Self {
            reservations,
            users,
            granted,
            keys,
            charges: Vec::new(),
        })
    }

    fn enter(&mut self, entry: &Entry, now: DateTime<Utc>) -> Result<Booked, Error> {
        match entry {
            Entry::Reserve(new) => self.reserve(new, now).map(Booked::Reserved),
            Entry::Settle { run_id, cost } => self.settle(*run_id, *cost, now).map(Booked::Settled),
        }
    }

    fn reserve(&mut self, new: &NewReservation, now: DateTime<Utc>) -> Result<i64, Error> {
        let holder = self.users.get_mut(&new.user_id);
        let holder = holder.ok_or(Error::UserNotFound)?;
        if let Some(held) = self.reservations.get(&new.run_id) {
            if held.row.user_id != new.user_id {
                return Err(Error::Invalid(FOREIGN_RUN));
            }
            return Ok(held.row.amount_microdollars);
        }
        let key = match &new.api_key_id {
            Some(id) => {
                let key = self.keys.get_mut(id);
                let key = key.filter(|it| it.key.user_id == new.user_id && it.key.is_good(now));
                Some(key.ok_or(Error::ApiKeyNotFound)?)
            }
            None => None,
        };
        let may_ask = key.as_ref().is_none_or(|key| key.key.may_ask(new.model_id));
        if !may_ask || !self.granted.contains(&(new.user_id, new.model_id)) {
            return Err(Error::ModelNotGranted);
        }
        let mut unlimited = Budget::unlimited();
        let budget = match key {
            Some(key) => {
                key.changed = true;
                &mut key.key.budget
            }
            None => &mut unlimited,
        };
        let amount = holder.account.reserve(budget, new.wish, holder.open)?;
        holder.changed = true;
        holder.open += u64::from(!new.wish.is_background());
        let row = reservation::Model {
            run_id: new.run_id,
            user_id: new.user_id,
            amount_microdollars: amount,
            charged_microdollars: None,
            background: new.wish.is_background(),
            api_key_id: new.api_key_id,
            opened_at: now,
            settled_at: None,
            expires_at: new.expires_at,
        };
        let held = Held {
            row,
            new: true,
            settled: false,
        };
        self.reservations.insert(new.run_id, held);
        Ok(amount)
    }

    fn settle(&mut self, run_id: Uuid, cost: i64, now: DateTime<Utc>) -> Result<Settled, Error> {
        let held = self.reservations.get_mut(&run_id);
        let held = held.ok_or(Error::ReservationNotFound)?;
        let user_id = held.row.user_id;
        let holder = self.users.get_mut(&user_id).ok_or(Error::UserNotFound)?;
        let mut key = held.row.api_key_id.and_then(|id| self.keys.get_mut(&id));
        let mut unlimited = Budget::unlimited();
        let budget = key
            .as_mut()
            .map_or(&mut unlimited, |key| &mut key.key.budget);
        if let Some(charged) = held.row.charged_microdollars {
            return Ok(Settled {
                user_id,
                charged,
                account: holder.account,
                available: holder.account.available_within(*budget),
            });
        }
        let charged = holder
            .account
            .settle(budget, held.row.amount_microdollars, cost);
        let settled = Settled {
            user_id,
            charged,
            account: holder.account,
            available: holder.account.available_within(*budget),
        };
        if let Some(key) = key {
            key.changed = true;
        }
        holder.changed = true;
        holder.open = holder.open.saturating_sub(u64::from(!held.row.background));
        held.row.charged_microdollars = Some(charged);
        held.row.settled_at = Some(now);
        held.settled = true;
        if charged > 0 {
            self.charges.push(charge(&held.row, charged, now));
        }
        if charged < cost {
            tracing::warn!(
                cost,
                charged,
                "a run cost more than its user or its key had"
            );
        }
        Ok(settled)
    }

    /// Writes what was changed; says whether anything was.
    async fn write(
        self,
        transaction: &DatabaseTransaction,
        now: DateTime<Utc>,
    ) -> Result<bool, DbErr> {
        let changed = self.users.iter().filter(|(_, holder)| holder.changed);
        let changed: Vec<_> = changed.map(|(id, holder)| (*id, holder.account)).collect();
        if changed.is_empty() {
            return Ok(false);
        }
        let (new, held): (Vec<_>, Vec<_>) = self.reservations.into_values().partition(|it| it.new);
        let new = new.into_iter().map(|held| held.row.into_active_model());
        insert(transaction, new).await?;
        let settled = held.iter().filter(|held| held.settled);
        let settled: Vec<_> = settled
            .map(|held| (held.row.run_id, held.row.charged_microdollars.unwrap_or(0)))
            .collect();
        save_settled(transaction, &settled, now).await?;
        insert(transaction, self.charges).await?;
        for (id, key) in self.keys.iter().filter(|(_, key)| key.changed) {
            api_keys::save_budget(transaction, *id, key.key.budget).await?;
        }
        save_accounts(transaction, &changed).await?;
        Ok(true)
    }
}

async fn reservations(
    transaction: &DatabaseTransaction,
    entries: &[Entry],
) -> Result<BTreeMap<Uuid, Held>, DbErr> {
    let runs = entries.iter().map(|entry| match entry {
        Entry::Reserve(new) => new.run_id,
        Entry::Settle { run_id, .. } => *run_id,
    });
    let rows = reservation::Entity::find()
        .filter(reservation::Column::RunId.is_in(filled(runs)))
        .order_by_asc(reservation::Column::RunId)
        .lock_exclusive()
        .all(transaction)
        .await?;
    let held = rows.into_iter().map(|row| {
        let held = Held {
            row,
            new: false,
            settled: false,
        };
        (held.row.run_id, held)
    });
    Ok(held.collect())
}

async fn users(
    transaction: &DatabaseTransaction,
    ids: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Holder>, DbErr> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = user_account::Entity::find()
        .filter(user_account::Column::Id.is_in(filled(ids)))
        .order_by_asc(user_account::Column::Id)
        .lock_exclusive()
        .all(transaction)
        .await?;
    let holders = rows.iter().map(|row| {
        let holder = Holder {
            account: Account::from(row),
            open: 0,
            changed: false,
        };
        (row.id, holder)
    });
    Ok(holders.collect())
}

/// Which of the models that are asked for the users may ask.
async fn granted<'a>(
    transaction: &DatabaseTransaction,
    wanted: impl Iterator<Item = &'a NewReservation> + Clone,
) -> Result<HashSet<(Uuid, i32)>, DbErr> {
    let users: BTreeSet<Uuid> = wanted.clone().map(|new| new.user_id).collect();
    let models: BTreeSet<i32> = wanted.map(|new| new.model_id).collect();
    let rows = model_grant::Entity::find()
        .filter(model_grant::Column::UserId.is_in(filled(users)))
        .filter(model_grant::Column::ModelId.is_in(filled(models)))
        .all(transaction)
        .await?;
    Ok(rows.iter().map(|row| (row.user_id, row.model_id)).collect())
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

fn charge(held: &reservation::Model, charged: i64, now: DateTime<Utc>) -> ledger::ActiveModel {
    ledger::ActiveModel {
        id: NotSet,
        user_id: Set(held.user_id),
        amount_microdollars: Set(-charged),
        kind: Set(Kind::Charge),
        run_id: Set(Some(held.run_id)),
        deposit_key: Set(None),
        api_key_id: Set(held.api_key_id),
        booked_at: Set(now),
    }
}

async fn insert<A: ActiveModelTrait>(
    transaction: &DatabaseTransaction,
    rows: impl IntoIterator<Item = A>,
) -> Result<(), DbErr> {
    match Sql::insert(rows) {
        Some(insert) => execute(transaction, insert).await,
        None => Ok(()),
    }
}

async fn execute(transaction: &DatabaseTransaction, sql: Sql) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    transaction.execute_raw(sql.statement(backend)).await?;
    Ok(())
}

async fn save_settled(
    transaction: &DatabaseTransaction,
    settled: &[(Uuid, i64)],
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    if settled.is_empty() {
        return Ok(());
    }
    let rows = settled
        .iter()
        .map(|(run, charged)| [(*run).into(), (*charged).into()]);
    let update = Sql::new("WITH wanted (wanted_run, charged) AS (")
        .rows(rows)
        .text(") UPDATE reservation SET charged_microdollars = charged, settled_at = ")
        .value(now)
        .text(" FROM wanted WHERE run_id = wanted_run");
    execute(transaction, update).await
}

/// Writes locked users' money back, both columns at once as the table's check wants it.
pub(super) async fn save_accounts(
    transaction: &DatabaseTransaction,
    accounts: &[(Uuid, Account)],
) -> Result<(), DbErr> {
    let rows = accounts.iter().map(|(id, account)| {
        let (balance, reserved) = (account.balance, account.reserved);
        [(*id).into(), balance.into(), reserved.into()]
    });
    let update = Sql::new("WITH wanted (wanted_id, balance, reserved) AS (")
        .rows(rows)
        .text(
            ") UPDATE user_account SET balance_microdollars = balance, \
             reserved_microdollars = reserved FROM wanted WHERE id = wanted_id",
        );
    execute(transaction, update).await
}
