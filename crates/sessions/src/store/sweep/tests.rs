//! What is released, what is deleted, and what stays.

use chrono::{DateTime, TimeDelta, Utc};
use confab_database::scratch::Scratch;
use confab_migrations::sessions::Migrator;
use uuid::Uuid;

use crate::account::{Account, Wish};
use crate::sign_in::{Session, UsedTicket};
use crate::store::{Booked, Entry, NewReservation, NewUser, Store};
use crate::throttle::Attempt;
use crate::user::Username;

const MODEL: i32 = 4;
const DEPOSIT: i64 = 1_000;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

async fn ann(store: &Store) -> Uuid {
    let new = NewUser {
        id: Uuid::now_v7(),
        username: Username::parse("ann").unwrap(),
        models: vec![MODEL],
        deposit: DEPOSIT,
        created_at: start(),
    };
    store.create_user(new).await.unwrap().id
}

/// Sets 100 aside for a new run.
async fn reserve(store: &Store, user_id: Uuid, lifetime: Option<TimeDelta>) -> Uuid {
    let run_id = Uuid::now_v7();
    let new = NewReservation {
        run_id,
        user_id,
        model_id: MODEL,
        api_key_id: None,
        wish: Wish::new(100, 100, 0).unwrap(),
        expires_at: lifetime.map(|lifetime| start() + lifetime),
    };
    let booked = store.book(&[Entry::Reserve(new)], start()).await.unwrap();
    assert!(matches!(booked[..], [Ok(Booked::Reserved(100))]));
    run_id
}

async fn session(store: &Store, user_id: Uuid, lasts: TimeDelta) -> Vec<u8> {
    let id = Uuid::now_v7();
    let refresh = id.as_bytes().repeat(2);
    let expires_at = start() + lasts;
    let session = Session {
        id,
        user_id,
        expires_at,
    };
    store
        .begin_session(session, refresh.clone(), start())
        .await
        .unwrap();
    refresh
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_needs_is_deleted() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let store = Store::new(scratch.database.clone());
        let user_id = ann(&store).await;
        let over = session(&store, user_id, TimeDelta::hours(1)).await;
        let ended = session(&store, user_id, TimeDelta::days(30)).await;
        let kept = session(&store, user_id, TimeDelta::days(30)).await;
        let id = store.session_of(ended.clone()).await.unwrap().unwrap();
        store.end_session(id, start()).await.unwrap();
        let ticket = UsedTicket {
            user_id,
            session_id: None,
            expires_at: start() + TimeDelta::seconds(30),
            connection_ends_at: start(),
        };
        store.keep_ticket(vec![7; 32], ticket).await.unwrap();
        let attempt = Attempt::new("ann", "192.0.2.1");
        for _ in 0..5 {
            store.begin_attempt(&attempt, start()).await.unwrap();
        }
        assert!(store.begin_attempt(&attempt, start()).await.is_err());

        let later = start() + TimeDelta::hours(26);
        store.sweep(later).await.unwrap();
        assert!(store.session_of(over).await.unwrap().is_none());
        assert!(store.session_of(ended).await.unwrap().is_none());
        assert!(store.session_of(kept).await.unwrap().is_some());
        assert!(store.use_ticket(vec![7; 32]).await.unwrap().is_none());
        assert!(store.revocations_after(1, 10).await.unwrap().is_empty());
        // A gateway goes on from where it was.
        assert_eq!(store.last_revocation().await.unwrap(), 2);
        store.begin_attempt(&attempt, start()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_outlives_its_time_is_released_once_and_free() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let store = Store::new(scratch.database.clone());
        let user_id = ann(&store).await;
        let minute = TimeDelta::minutes(1);
        let left = reserve(&store, user_id, Some(minute)).await;
        let settled = reserve(&store, user_id, Some(minute)).await;
        let longer = reserve(&store, user_id, Some(minute * 2)).await;
        let endless = reserve(&store, user_id, None).await;
        assert_eq!(
            store.settle(settled, 30, start()).await.unwrap().charged,
            30
        );

        let early = start() + minute - TimeDelta::seconds(1);
        assert_eq!(store.release_expired(early).await.unwrap(), 0);
        let late = start() + minute;
        assert_eq!(store.release_expired(late).await.unwrap(), 1);
        assert_eq!(store.release_expired(late).await.unwrap(), 0);
        let account = Account {
            balance: DEPOSIT - 30,
            reserved: 200,
        };
        assert_eq!(store.account(user_id).await.unwrap(), account);

        // Whoever comes with the bill afterwards gets nothing for it.
        let after = store.settle(left, 50, late).await.unwrap();
        assert_eq!((after.charged, after.account), (0, account));
        assert_eq!(after.available, DEPOSIT - 30 - 200);
        let years = start() + TimeDelta::days(1_000);
        assert_eq!(store.release_expired(years).await.unwrap(), 1);
        assert_eq!(store.settle(longer, 1, years).await.unwrap().charged, 0);
        assert_eq!(store.settle(endless, 1, years).await.unwrap().charged, 1);
        let account = store.account(user_id).await.unwrap();
        assert_eq!((account.balance, account.reserved), (DEPOSIT - 31, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_settlement_and_the_sweep_one_ends_the_reservation() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let store = Store::new(scratch.database.clone());
        let user_id = ann(&store).await;
        let late = start() + TimeDelta::minutes(1);
        let mut spent = 0;
        for _ in 0..20 {
            let run = reserve(&store, user_id, Some(TimeDelta::seconds(1))).await;
            let (settled, released, other) = tokio::join!(
                store.settle(run, 3, late),
                store.release_expired(late),
                store.release_expired(late),
            );
            let charged = settled.unwrap().charged;
            assert!(charged == 0 || charged == 3, "{charged}");
            // What lost the race was told of the first settlement, and is counted all the same.
            assert!(released.unwrap() <= 1 && other.unwrap() <= 1);
            spent += charged;
            let again = store.settle(run, 7, late).await.unwrap();
            assert_eq!(again.charged, charged, "the first settlement stands");
            let account = store.account(user_id).await.unwrap();
            assert_eq!((account.balance, account.reserved), (DEPOSIT - spent, 0));
        }
        let booked = store.ledger_after(user_id, 0, 100).await.unwrap();
        let sum: i64 = booked.iter().map(|entry| entry.amount_microdollars).sum();
        assert_eq!(sum, DEPOSIT - spent);
    }
}
