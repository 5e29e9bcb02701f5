//! Who is let through, and what is counted.

use std::time::Duration;

use confab_cache::Cache;
use confab_runtime::Tasks;

use super::{Limits, Standing, Window};
use crate::settings;

fn limits(url: &str, requests_per_minute: u64, tokens_per_minute: u64) -> Limits {
    let cache = confab_cache::Settings {
        url: url.into(),
        timeout_ms: 200,
    };
    let settings = settings::Limits {
        requests_per_minute,
        tokens_per_minute,
    };
    Limits::new(&settings, &Cache::open(&cache).unwrap(), &Tasks::new())
}

#[tokio::test]
async fn callers_have_a_count_each_and_more_than_the_limit_is_refused() {
    let limits = limits("", 2, 0);
    for remaining in [1, 0] {
        let standing = limits.admit("ann").await;
        assert_eq!(standing.check(), Ok(()));
        assert_eq!(standing.requests.unwrap().remaining(), remaining);
        assert_eq!(standing.tokens, None);
    }
    let exceeded = limits.admit("ann").await.check().unwrap_err();
    assert_eq!((exceeded.what, exceeded.limit), ("requests", 2));
    assert!(exceeded.wait <= Duration::from_mins(1));
    assert_eq!(limits.admit("ben").await.check(), Ok(()));
}

#[tokio::test]
async fn an_answer_is_counted_when_it_is_over_or_left() {
    let limits = limits("", 0, 10);
    let mut told = limits.meter("ann".to_owned());
    told.pieces(1);
    told.settle(3, 4);
    drop(told);
    let mut left = limits.meter("ann".to_owned());
    left.pieces(1);
    left.pieces(1);
    drop(left);
    limits.tasks.stop(Duration::from_secs(10)).await;
    let standing = limits.admit("ann").await;
    assert_eq!(standing.tokens.unwrap().used, 9);
    assert_eq!(standing.check(), Ok(()));

    let limits = self::limits("", 0, 9);
    limits.meter("ann".to_owned()).settle(5, 4);
    limits.tasks.stop(Duration::from_secs(10)).await;
    let exceeded = limits.admit("ann").await.check().unwrap_err();
    assert_eq!(exceeded.what, "tokens");
}

#[tokio::test]
async fn without_limits_or_without_a_cache_everything_is_let_through() {
    let nothing = Standing {
        requests: None,
        tokens: None,
    };
    assert_eq!(limits("", 0, 0).admit("ann").await, nothing);
    let away = limits("redis://127.0.0.1:1", 1, 1);
    for _ in 0..3 {
        assert_eq!(away.admit("ann").await, nothing);
    }
}

#[test]
fn what_is_left_is_never_less_than_nothing() {
    let window = Window {
        limit: 2,
        used: 5,
        ends_in: Duration::ZERO,
    };
    assert_eq!(window.remaining(), 0);
}
