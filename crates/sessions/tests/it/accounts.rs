//! Balances and the ledger.

use confab_rpc::Reason;
use confab_rpc::sessions::{
    CreateUserRequest, EntryKind, GetAccountRequest, ListLedgerRequest, User,
};
use uuid::Uuid;

use crate::house::{both, refusal};
use crate::money::{MODEL, wish};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_booked_once_per_key() {
    for house in both().await {
        let (ann, bob) = (house.user("ann", 0).await, house.user("bob", 0).await);
        for _ in 0..3 {
            let account = house.deposit(&ann, 70, "invoice 1").await.unwrap();
            assert_eq!(account.balance_microdollars, 70);
        }
        let other_amount = house.deposit(&ann, 71, "invoice 1").await;
        assert_eq!(refusal(other_amount), Reason::Invalid);
        house.deposit(&ann, 30, "invoice 2").await.unwrap();
        house.deposit(&bob, 5, "invoice 1").await.unwrap();
        assert_eq!(house.booked(&ann).await, [70, 30]);
        assert_eq!(house.money(&ann).await, (100, 0));
        assert_eq!(house.money(&bob).await, (5, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deposited_is_refused() {
    for house in both().await {
        let ann = house.user("ann", 10).await;
        let too_long = "x".repeat(256);
        let bad = [
            (0, "zero"),
            (-1, "negative"),
            (i64::MAX, "overflow"),
            (1, ""),
            (1, "nul\0"),
            (1, too_long.as_str()),
        ];
        for (amount, key) in bad {
            let refused = house.deposit(&ann, amount, key).await;
            assert_eq!(refusal(refused), Reason::Invalid, "{amount} {key}");
        }
        for id in [Uuid::new_v4().to_string(), "nobody".to_owned()] {
            let stranger = User {
                id,
                ..Default::default()
            };
            let refused = house.deposit(&stranger, 1, "key").await;
            assert_eq!(refusal(refused), Reason::UserNotFound);
        }
        assert_eq!(house.booked(&ann).await, [10]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_read_in_pages() {
    for house in both().await {
        let ann = house.user("ann", 1).await;
        house.deposit(&ann, 2, "two").await.unwrap();
        let run = Uuid::now_v7();
        house.reserve(wish(&ann, run, 0, 3)).await.unwrap();
        house.settle(run, 3).await.unwrap();
        let all = house.ledger(&ann).await;
        let amounts: Vec<_> = all.iter().map(|entry| entry.amount_microdollars).collect();
        assert_eq!(amounts, [1, 2, -3]);
        assert_eq!(all[1].kind(), EntryKind::Deposit);
        assert_eq!(all[2].kind(), EntryKind::Charge);
        assert_eq!(all[2].run_id, run.to_string());
        let request = ListLedgerRequest {
            user_id: ann.id.clone(),
            after_id: all[0].id,
            limit: 1,
        };
        let page = house.sessions.clone().list_ledger(request).await.unwrap();
        assert_eq!(page.into_inner().entries, all[1..2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_no_account() {
    for house in both().await {
        let user_id = Uuid::new_v4().to_string();
        let request = GetAccountRequest {
            user_id: user_id.clone(),
        };
        let account = house.sessions.clone().get_account(request).await;
        assert_eq!(refusal(account), Reason::UserNotFound);
        let request = ListLedgerRequest {
            user_id: user_id.clone(),
            ..Default::default()
        };
        let ledger = house.sessions.clone().list_ledger(request).await;
        assert_eq!(refusal(ledger), Reason::UserNotFound);
        let nobody = User {
            id: user_id,
            ..Default::default()
        };
        let reserved = house.reserve(wish(&nobody, Uuid::now_v7(), 0, 1)).await;
        assert_eq!(refusal(reserved), Reason::UserNotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_balance_is_as_good_as_a_deposit() {
    for house in both().await {
        let request = CreateUserRequest {
            username: "rich".to_owned(),
            deposit_microdollars: i64::MAX,
            models: vec![MODEL],
            ..Default::default()
        };
        let rich = house
            .sessions
            .clone()
            .create_user(request)
            .await
            .unwrap()
            .into_inner();
        let run = Uuid::now_v7();
        let amount = house.reserve(wish(&rich, run, 0, i64::MAX)).await.unwrap();
        assert_eq!(amount, i64::MAX);
        assert_eq!(
            refusal(house.deposit(&rich, 1, "more").await),
            Reason::Invalid
        );
        house.settle(run, i64::MAX).await.unwrap();
        assert_eq!(house.money(&rich).await, (0, 0));
    }
}
