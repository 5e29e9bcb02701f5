//! What tests do with money.

use confab_rpc::sessions::{
    Account, DepositRequest, ReserveRequest, SettleRequest, Settlement, User,
};
use tonic::Status;
use uuid::Uuid;

use crate::house::{Client, House};

pub(crate) const MODEL: i32 = 4;

pub(crate) async fn deposit(
    mut sessions: Client,
    user: &User,
    amount: i64,
    key: &str,
) -> Result<Account, Status> {
    let request = DepositRequest {
        user_id: user.id.clone(),
        amount_microdollars: amount,
        key: key.to_owned(),
    };
    Ok(sessions.deposit(request).await?.into_inner())
}

pub(crate) fn wish(user: &User, run: Uuid, minimum: i64, maximum: i64) -> ReserveRequest {
    ReserveRequest {
        user_id: user.id.clone(),
        run_id: run.to_string(),
        model_id: MODEL,
        minimum_microdollars: minimum,
        maximum_microdollars: maximum,
        open_limit: 0,
        background: false,
        api_key_id: String::new(),
        lifetime_seconds: 0,
    }
}

pub(crate) async fn reserve(mut sessions: Client, request: ReserveRequest) -> Result<i64, Status> {
    let reservation = sessions.reserve(request).await?.into_inner();
    Ok(reservation.amount_microdollars)
}

pub(crate) async fn settle(
    mut sessions: Client,
    run: Uuid,
    cost: i64,
) -> Result<Settlement, Status> {
    let request = SettleRequest {
        run_id: run.to_string(),
        cost_microdollars: cost,
    };
    Ok(sessions.settle(request).await?.into_inner())
}

impl House {
    pub(crate) async fn deposit(
        &self,
        user: &User,
        amount: i64,
        key: &str,
    ) -> Result<Account, Status> {
        deposit(self.sessions.clone(), user, amount, key).await
    }

    pub(crate) async fn reserve(&self, request: ReserveRequest) -> Result<i64, Status> {
        reserve(self.sessions.clone(), request).await
    }

    pub(crate) async fn settle(&self, run: Uuid, cost: i64) -> Result<Settlement, Status> {
        settle(self.sessions.clone(), run, cost).await
    }

    /// Balance and what is reserved of it.
    pub(crate) async fn money(&self, user: &User) -> (i64, i64) {
        let account = self.account(user).await;
        (account.balance_microdollars, account.reserved_microdollars)
    }

    /// Amounts of the ledger.
    pub(crate) async fn booked(&self, user: &User) -> Vec<i64> {
        let ledger = self.ledger(user).await;
        ledger
            .iter()
            .map(|entry| entry.amount_microdollars)
            .collect()
    }
}
