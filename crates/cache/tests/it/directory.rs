//! Which gateways hold sockets of which users.

use std::time::Duration;

use uuid::Uuid;

use crate::{both, open};

const LONG: Duration = Duration::from_secs(30);

fn gateway() -> String {
    Uuid::now_v7().to_string()
}

#[tokio::test]
async fn users_are_found_on_the_gateways_that_saw_them() {
    for cache in both() {
        let [first, second] = [gateway(), gateway()];
        let [anna, ben, nobody] = [(); 3].map(|()| Uuid::now_v7());
        cache.beat(&first, LONG).await.unwrap();
        cache.beat(&second, LONG).await.unwrap();
        cache.seen(&first, &[anna, ben], LONG).await.unwrap();
        cache.seen(&second, &[ben], LONG).await.unwrap();

        let mut found = cache.gateways_of(&[ben, nobody, anna]).await.unwrap();
        found[0].sort();
        assert_eq!(
            found,
            [
                vec![first.clone(), second.clone()],
                vec![],
                vec![first.clone()]
            ]
        );

        cache.gone(&first, &[anna, ben, nobody]).await.unwrap();
        let found = cache.gateways_of(&[anna, ben]).await.unwrap();
        assert_eq!(found, [vec![], vec![second]]);
        assert!(cache.gateways_of(&[]).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_gateway_that_does_not_beat_is_dead() {
    for cache in both() {
        let gateway = gateway();
        let user = Uuid::now_v7();
        cache.seen(&gateway, &[user], LONG).await.unwrap();
        assert_eq!(cache.gateways_of(&[user]).await.unwrap(), [[""; 0]]);

        cache.beat(&gateway, LONG).await.unwrap();
        assert!(cache.gateways().await.unwrap().contains(&gateway));
        assert_eq!(
            cache.gateways_of(&[user]).await.unwrap(),
            [[gateway.as_str()]]
        );

        cache.beat(&gateway, Duration::ZERO).await.unwrap();
        assert!(!cache.gateways().await.unwrap().contains(&gateway));
        assert_eq!(cache.gateways_of(&[user]).await.unwrap(), [[""; 0]]);
    }
}

#[tokio::test]
async fn users_that_were_not_seen_again_are_forgotten() {
    for cache in both() {
        let gateway = gateway();
        let users: Vec<Uuid> = (0..2500).map(|_| Uuid::now_v7()).collect();
        cache.beat(&gateway, LONG).await.unwrap();
        cache.seen(&gateway, &users, LONG).await.unwrap();
        let found = cache.gateways_of(&users).await.unwrap();
        assert!(found.iter().all(|gateways| *gateways == [gateway.as_str()]));

        cache.seen(&gateway, &users, Duration::ZERO).await.unwrap();
        let found = cache.gateways_of(&users).await.unwrap();
        assert_eq!(found.len(), users.len());
        assert!(found.iter().all(Vec::is_empty));
    }
}

#[tokio::test]
async fn a_redis_that_is_away_is_an_error_each_time() {
    let cache = open("redis://127.0.0.1:1");
    let user = [Uuid::now_v7()];
    assert!(cache.beat("g", LONG).await.is_err());
    assert!(cache.seen("g", &user, LONG).await.is_err());
    assert!(cache.gateways_of(&user).await.is_err());
    assert!(cache.gateways().await.is_err());
}
