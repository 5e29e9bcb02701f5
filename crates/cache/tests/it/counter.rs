//! Counters that begin anew.

use std::time::Duration;

use futures_util::future::join_all;
use uuid::Uuid;

use crate::{both, open};

const MINUTE: Duration = Duration::from_mins(1);

fn counter() -> String {
    Uuid::now_v7().to_string()
}

#[tokio::test]
async fn what_is_added_at_once_is_counted_one_after_another() {
    for cache in both() {
        let counter = counter();
        let counts = join_all((0..50).map(|_| cache.count(&counter, 2, MINUTE))).await;
        let mut totals: Vec<u64> = counts.into_iter().map(|it| it.unwrap().total).collect();
        totals.sort_unstable();
        assert_eq!(totals, (1..=50).map(|it| it * 2).collect::<Vec<_>>());

        let count = cache.count(&counter, 0, MINUTE).await.unwrap();
        assert_eq!(count.total, 100, "asking adds nothing");
        assert!(count.ends_in <= MINUTE && count.ends_in > MINUTE / 2);
    }
}

#[tokio::test]
async fn a_counter_ends_by_its_beginning_and_begins_anew() {
    for cache in both() {
        let counter = counter();
        cache.count(&counter, 7, MINUTE).await.unwrap();
        let later = cache.count(&counter, 1, MINUTE * 10).await.unwrap();
        assert!(later.ends_in <= MINUTE, "what is added later moves no end");

        let short = self::counter();
        cache
            .count(&short, 7, Duration::from_millis(1))
            .await
            .unwrap();
        // The first answer that is not the old total is a beginning.
        while cache.count(&short, 0, MINUTE).await.unwrap().total == 7 {}
        assert_eq!(cache.count(&short, 1, MINUTE).await.unwrap().total, 1);
    }
}

#[tokio::test]
async fn counters_that_have_ended_make_room() {
    let cache = open("");
    for _ in 0..5000 {
        cache.count(&counter(), 1, Duration::ZERO).await.unwrap();
    }
    let kept = self::counter();
    cache.count(&kept, 1, MINUTE).await.unwrap();
    for _ in 0..5000 {
        cache.count(&counter(), 1, Duration::ZERO).await.unwrap();
    }
    assert_eq!(cache.count(&kept, 0, MINUTE).await.unwrap().total, 1);
}

#[tokio::test]
async fn a_redis_that_is_away_counts_nothing() {
    let cache = open("redis://127.0.0.1:1");
    assert!(cache.count("c", 1, MINUTE).await.is_err());
}
