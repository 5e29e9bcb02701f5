//! Entries of many in one transaction: each as if it were alone, in their order.

use chrono::{DateTime, Utc};
use confab_database::scratch::Scratch;
use confab_migrations::sessions::Migrator;
use uuid::Uuid;

use super::{Booked, Entry, NewReservation};
use crate::account::Wish;
use crate::error::Error;
use crate::store::{NewUser, Store};
use crate::user::Username;

const MODEL: i32 = 4;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn user(store: &Store, name: &str, deposit: i64) -> Uuid {
    let new = NewUser {
        id: Uuid::now_v7(),
        username: Username::parse(name).unwrap(),
        models: vec![MODEL],
        deposit,
        created_at: start(),
    };
    store.create_user(new).await.unwrap().id
}

fn reserve(user_id: Uuid, run_id: Uuid, model_id: i32, maximum: i64) -> Entry {
    Entry::Reserve(NewReservation {
        run_id,
        user_id,
        model_id,
        api_key_id: None,
        wish: Wish::new(1, maximum, 0).unwrap(),
        expires_at: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_several_users_are_made_in_their_order() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let store = Store::new(scratch.database.clone());
        let (ann, bob) = (
            user(&store, "ann", 100).await,
            user(&store, "bob", 50).await,
        );
        let [first, second, third, none] = [(); 4].map(|()| Uuid::now_v7());
        let settle = |run_id, cost| Entry::Settle { run_id, cost };
        let entries = [
            reserve(ann, first, MODEL, 80),
            reserve(ann, second, MODEL, 80),
            reserve(bob, third, MODEL, 50),
            reserve(bob, first, MODEL, 1),
            reserve(bob, Uuid::now_v7(), MODEL, 1),
            reserve(bob, Uuid::now_v7(), MODEL + 1, 1),
            reserve(Uuid::now_v7(), Uuid::now_v7(), MODEL, 1),
            reserve(ann, first, MODEL, 7),
            settle(first, 30),
            settle(first, 70),
            settle(third, 50),
            settle(none, 1),
        ];
        let booked = store.book(&entries, start()).await.unwrap();
        let told: Vec<_> = booked
            .iter()
            .map(|booked| match booked {
                Ok(Booked::Reserved(amount)) => ("reserved", *amount),
                Ok(Booked::Settled(settled)) => ("charged", settled.charged),
                Err(Error::Invalid(_)) => ("another's run", 0),
                Err(Error::BalanceInsufficient) => ("no money", 0),
                Err(Error::ModelNotGranted) => ("no grant", 0),
                Err(Error::UserNotFound) => ("no user", 0),
                Err(Error::ReservationNotFound) => ("no reservation", 0),
                Err(error) => panic!("{error}"),
            })
            .collect();
        let expected = [
            ("reserved", 80),
            ("reserved", 20),
            ("reserved", 50),
            ("another's run", 0),
            ("no money", 0),
            ("no grant", 0),
            ("no user", 0),
            ("reserved", 80),
            ("charged", 30),
            ("charged", 30),
            ("charged", 50),
            ("no reservation", 0),
        ];
        assert_eq!(told, expected);
        for (user, balance, reserved) in [(ann, 70, 20), (bob, 0, 0)] {
            let account = store.account(user).await.unwrap();
            assert_eq!((account.balance, account.reserved), (balance, reserved));
            let ledger = store.ledger_after(user, 0, 100).await.unwrap();
            let sum: i64 = ledger.iter().map(|entry| entry.amount_microdollars).sum();
            assert_eq!(sum, balance);
        }
        // What was open before is settled together, each at its own cost.
        let open = [reserve(ann, none, MODEL, 50)];
        store.book(&open, start()).await.unwrap();
        let settled = [settle(none, 7), settle(third, 9), settle(second, 5)];
        let booked = store.book(&settled, start()).await.unwrap();
        let charged = booked.iter().map(|booked| match booked {
            Ok(Booked::Settled(settled)) => settled.charged,
            _ => panic!("{booked:?}"),
        });
        assert_eq!(charged.collect::<Vec<_>>(), [7, 50, 5]);
        let account = store.account(ann).await.unwrap();
        assert_eq!((account.balance, account.reserved), (58, 0));
    }
}
