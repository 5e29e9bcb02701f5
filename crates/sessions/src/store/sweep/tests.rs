//! What is deleted and what stays.

use chrono::{DateTime, TimeDelta, Utc};
use confab_database::scratch::Scratch;
use confab_migrations::sessions::Migrator;
use uuid::Uuid;

use crate::sign_in::{Session, UsedTicket};
use crate::store::{NewUser, Store};
use crate::throttle::Attempt;
use crate::user::Username;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
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
        let new = NewUser {
            id: Uuid::now_v7(),
            username: Username::parse("ann").unwrap(),
            models: Vec::new(),
            deposit: 0,
            created_at: start(),
        };
        let user_id = store.create_user(new).await.unwrap().id;
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
