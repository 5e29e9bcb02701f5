//! What waits is done together, once, in its order.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::{Batches, Size, Undone, Work};
use crate::Tasks;

const SIZE: Size = Size { queue: 5, batch: 3 };

/// Doubles numbers when it is let; of 0 it dies.
#[derive(Clone)]
struct Doubling {
    let_go: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<Vec<u32>>>>,
}

impl Work for Doubling {
    type Job = u32;
    type Outcome = u32;

    async fn work(&self, jobs: Vec<u32>) -> Vec<u32> {
        self.let_go.acquire().await.unwrap().forget();
        assert!(!jobs.contains(&0), "asked to die");
        self.seen.lock().unwrap().push(jobs.clone());
        jobs.iter().map(|job| job * 2).collect()
    }
}

fn doubling() -> (Batches<Doubling>, Doubling) {
    let work = Doubling {
        let_go: Arc::new(Semaphore::new(0)),
        seen: Arc::default(),
    };
    (
        Batches::new(work.clone(), "doubling", SIZE, Tasks::new()),
        work,
    )
}

#[tokio::test]
async fn what_waits_is_done_together() {
    let (batches, work) = doubling();
    let first = batches.hand_in(1);
    let rest = async {
        // The task has taken the first one when it waits to be let go.
        tokio::task::yield_now().await;
        let calls = (2..=7).map(|job| batches.hand_in(job));
        let calls = join_all(calls);
        let go = async { work.let_go.add_permits(10) };
        tokio::join!(calls, go).0
    };
    let (first, rest) = tokio::join!(first, rest);
    assert_eq!(first, Ok(2));
    let expected = [Ok(4), Ok(6), Ok(8), Ok(10), Ok(12), Err(Undone::Busy)];
    assert_eq!(rest, expected);
    let seen = work.seen.lock().unwrap().clone();
    assert_eq!(seen, [vec![1], vec![2, 3, 4], vec![5, 6]]);
}

#[tokio::test]
async fn after_a_panic_the_next_one_is_done() {
    let (batches, work) = doubling();
    work.let_go.add_permits(10);
    assert_eq!(batches.hand_in(0).await, Err(Undone::Broken));
    assert_eq!(batches.hand_in(4).await, Ok(8));
}
