//! Money when much happens at once.

use std::collections::HashMap;

use confab_rpc::Reason;
use confab_rpc::sessions::{EntryKind, ReserveRequest, User};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tokio::task::JoinSet;
use tonic::Status;
use uuid::Uuid;

use crate::house::{Client, House, both, refusal};
use crate::money::{deposit, reserve, settle, wish};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_sent_many_times_at_once_is_booked_once() {
    for house in both().await {
        let ann = house.user("ann", 0).await;
        let mut sending = JoinSet::new();
        for _ in 0..20 {
            let (sessions, ann) = (house.sessions.clone(), ann.clone());
            sending.spawn(async move { deposit(sessions, &ann, 70, "invoice 1").await });
        }
        while let Some(reply) = sending.join_next().await {
            assert_eq!(reply.unwrap().unwrap().balance_microdollars, 70);
        }
        assert_eq!(house.booked(&ann).await, [70]);
    }
}

/// How many of so many reservations at the same moment are admitted; all others are refused for this reason.
async fn admitted(house: &House, count: u32, refused: Reason, request: &ReserveRequest) -> u32 {
    let mut reserving = JoinSet::new();
    for _ in 0..count {
        let run_id = Uuid::now_v7().to_string();
        reserving.spawn(reserve(
            house.sessions.clone(),
            ReserveRequest {
                run_id,
                ..request.clone()
            },
        ));
    }
    let mut admitted = 0;
    while let Some(reply) = reserving.join_next().await {
        match reply.unwrap() {
            Ok(_) => admitted += 1,
            reply => assert_eq!(refusal(reply), refused),
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_runs_at_once_do_not_overdraw() {
    for house in both().await {
        let ann = house.user("ann", 1_000_000).await;
        let request = wish(&ann, Uuid::now_v7(), 20_000, 20_000);
        let admitted = admitted(&house, 200, Reason::BalanceInsufficient, &request).await;
        assert_eq!(admitted, 50);
        assert_eq!(house.money(&ann).await, (1_000_000, 1_000_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_at_once_do_not_pass_the_limit() {
    for house in both().await {
        let ann = house.user("ann", 1_000_000).await;
        let request = ReserveRequest {
            open_limit: 3,
            ..wish(&ann, Uuid::now_v7(), 10, 10)
        };
        assert_eq!(admitted(&house, 30, Reason::RunLimit, &request).await, 3);
        assert_eq!(house.money(&ann).await, (1_000_000, 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reservation_sent_many_times_at_once_is_made_once() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let request = wish(&ann, Uuid::now_v7(), 0, 30);
        let mut reserving = JoinSet::new();
        for _ in 0..20 {
            reserving.spawn(reserve(house.sessions.clone(), request.clone()));
        }
        while let Some(reply) = reserving.join_next().await {
            assert_eq!(reply.unwrap().unwrap(), 30);
        }
        assert_eq!(house.money(&ann).await, (100, 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_name_the_same_run_at_once_do_not_share_it() {
    for house in both().await {
        let run = Uuid::now_v7();
        let mut reserving = JoinSet::new();
        for number in 0..10 {
            let user = house.user(&format!("user {number}"), 100).await;
            reserving.spawn(reserve(house.sessions.clone(), wish(&user, run, 0, 30)));
        }
        let mut made = 0;
        while let Some(reply) = reserving.join_next().await {
            match reply.unwrap() {
                Ok(_) => made += 1,
                reply => assert_eq!(refusal(reply), Reason::Invalid),
            }
        }
        assert_eq!(made, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_of_one_run_at_once_are_booked_once() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let run = Uuid::now_v7();
        house.reserve(wish(&ann, run, 0, 50)).await.unwrap();
        let mut settling = JoinSet::new();
        for cost in 1..=20 {
            settling.spawn(settle(house.sessions.clone(), run, cost));
        }
        let mut charged = Vec::new();
        while let Some(reply) = settling.join_next().await {
            charged.push(reply.unwrap().unwrap().charged_microdollars);
        }
        charged.dedup();
        assert_eq!(charged.len(), 1, "{charged:?}");
        assert_eq!(house.booked(&ann).await, [100, -charged[0]]);
        assert_eq!(house.money(&ann).await, (100 - charged[0], 0));
    }
}

/// Something a user's account goes through. Runs are numbered, so that steps meet.
#[derive(Debug, Clone)]
enum Step {
    Deposit {
        amount: i64,
        key: u8,
    },
    Reserve {
        run: Index,
        minimum: i64,
        maximum: i64,
        open_limit: u32,
    },
    Settle {
        run: Index,
        cost: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let amount = || 0..60_i64;
    let run = any::<Index>;
    prop_oneof![
        (amount(), 0..6_u8).prop_map(|(amount, key)| Step::Deposit { amount, key }),
        (run(), amount(), amount(), 0..4_u32).prop_map(|(run, minimum, maximum, open_limit)| {
            Step::Reserve {
                run,
                minimum,
                maximum,
                open_limit,
            }
        }),
        (run(), amount()).prop_map(|(run, cost)| Step::Settle { run, cost }),
    ]
}

async fn take(sessions: Client, user: User, runs: Vec<Uuid>, step: Step) -> Result<(), Status> {
    match step {
        Step::Deposit { amount, key } => {
            deposit(sessions, &user, amount, &key.to_string()).await?;
        }
        Step::Reserve {
            run,
            minimum,
            maximum,
            open_limit,
        } => {
            let wish = wish(&user, *run.get(&runs), minimum, maximum);
            reserve(sessions, ReserveRequest { open_limit, ..wish }).await?;
        }
        Step::Settle { run, cost } => {
            settle(sessions, *run.get(&runs), cost).await?;
        }
    }
    Ok(())
}

/// Runs all steps at the same time, then settles what is open and compares the account with its ledger.
async fn interleave(house: &House, steps: Vec<Step>) {
    let user = house.user(&Uuid::now_v7().to_string(), 100).await;
    let runs: Vec<_> = (0..8).map(|_| Uuid::now_v7()).collect();
    let mut taking = JoinSet::new();
    for step in steps {
        taking.spawn(take(
            house.sessions.clone(),
            user.clone(),
            runs.clone(),
            step,
        ));
    }
    while let Some(taken) = taking.join_next().await {
        if let Err(refused) = taken.unwrap() {
            assert_ne!(refusal::<()>(Err(refused)), Reason::Internal);
        }
    }
    let (balance, reserved) = house.money(&user).await;
    assert!(
        0 <= reserved && reserved <= balance,
        "{reserved} of {balance}"
    );
    assert_eq!(balance, house.booked(&user).await.iter().sum::<i64>());
    let mut charges = HashMap::new();
    for run in &runs {
        if let Ok(settled) = house.settle(*run, 0).await {
            charges.insert(run.to_string(), settled.charged_microdollars);
        }
    }
    assert_eq!(house.money(&user).await, (balance, 0));
    for entry in house.ledger(&user).await {
        if entry.kind() == EntryKind::Charge {
            assert_eq!(
                charges.remove(&entry.run_id),
                Some(-entry.amount_microdollars)
            );
        }
    }
    assert!(charges.values().all(|charged| *charged == 0), "{charges:?}");
}

#[test]
fn whatever_happens_at_once_the_balance_is_the_ledgers_sum() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for house in runtime.block_on(both()) {
        let steps = prop::collection::vec(step(), 1..40);
        TestRunner::new(Config::with_cases(10))
            .run(&steps, |steps| {
                runtime.block_on(interleave(&house, steps));
                Ok(())
            })
            .unwrap();
    }
}
