//! What runs hold and pay.

use confab_rpc::Reason;
use confab_rpc::sessions::{ReserveRequest, SettleRequest, User};
use uuid::Uuid;

use crate::house::{both, refusal};
use crate::money::wish;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_holds_what_it_may_cost_and_pays_what_it_cost() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let run = Uuid::now_v7();
        assert_eq!(house.reserve(wish(&ann, run, 10, 60)).await.unwrap(), 60);
        assert_eq!(house.money(&ann).await, (100, 60));
        let settled = house.settle(run, 25).await.unwrap();
        assert_eq!(settled.charged_microdollars, 25);
        assert_eq!(settled.account.unwrap(), house.account(&ann).await);
        assert_eq!(house.money(&ann).await, (75, 0));
        assert_eq!(house.booked(&ann).await, [100, -25]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_run_is_released_without_an_entry() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let run = Uuid::now_v7();
        house.reserve(wish(&ann, run, 0, 60)).await.unwrap();
        assert_eq!(house.settle(run, 0).await.unwrap().charged_microdollars, 0);
        assert_eq!(house.money(&ann).await, (100, 0));
        assert_eq!(house.booked(&ann).await, [100]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_reservation_gets_the_same_answer_also_after_its_settlement() {
    for house in both().await {
        let (ann, bob) = (house.user("ann", 100).await, house.user("bob", 100).await);
        let run = Uuid::now_v7();
        house.reserve(wish(&ann, run, 0, 60)).await.unwrap();
        assert_eq!(house.reserve(wish(&ann, run, 0, 99)).await.unwrap(), 60);
        assert_eq!(house.money(&ann).await, (100, 60));
        house.settle(run, 100).await.unwrap();
        assert_eq!(house.reserve(wish(&ann, run, 0, 99)).await.unwrap(), 60);
        assert_eq!(house.money(&ann).await, (0, 0));
        let foreign = house.reserve(wish(&bob, run, 0, 1)).await;
        assert_eq!(refusal(foreign), Reason::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_settlement_stands() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let run = Uuid::now_v7();
        house.reserve(wish(&ann, run, 0, 60)).await.unwrap();
        for cost in [25, 0, 60, 25] {
            let settled = house.settle(run, cost).await.unwrap();
            assert_eq!(settled.charged_microdollars, 25);
            assert_eq!(settled.account.unwrap().balance_microdollars, 75);
        }
        assert_eq!(house.booked(&ann).await, [100, -25]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cost_too_much_takes_nothing_from_other_runs() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let (dear, other) = (Uuid::now_v7(), Uuid::now_v7());
        house.reserve(wish(&ann, dear, 0, 20)).await.unwrap();
        house.reserve(wish(&ann, other, 0, 50)).await.unwrap();
        let settled = house.settle(dear, 1_000).await.unwrap();
        assert_eq!(settled.charged_microdollars, 50);
        assert_eq!(house.money(&ann).await, (50, 50));
        let settled = house.settle(other, 50).await.unwrap();
        assert_eq!(settled.charged_microdollars, 50);
        assert_eq!(house.money(&ann).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reserved_or_settled_is_refused() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let run = Uuid::now_v7();
        let bad = [
            ReserveRequest {
                run_id: "1".to_owned(),
                ..wish(&ann, run, 0, 1)
            },
            ReserveRequest {
                lifetime_seconds: 3_601,
                ..wish(&ann, run, 0, 1)
            },
            wish(&ann, run, -1, 1),
            wish(&ann, run, 0, -1),
        ];
        for request in bad {
            assert_eq!(refusal(house.reserve(request).await), Reason::Invalid);
        }
        assert_eq!(
            refusal(house.settle(run, 1).await),
            Reason::ReservationNotFound
        );
        let request = SettleRequest {
            run_id: "1".to_owned(),
            cost_microdollars: 1,
        };
        let settled = house.sessions.clone().settle(request).await;
        assert_eq!(refusal(settled), Reason::ReservationNotFound);
        house.reserve(wish(&ann, run, 0, 1)).await.unwrap();
        assert_eq!(refusal(house.settle(run, -1).await), Reason::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reservations_are_refused_for_the_reason_that_helps_most() {
    for house in both().await {
        let (ann, poor) = (house.user("ann", 100).await, house.user("poor", 0).await);
        let limited = |user: &User, minimum, open_limit| ReserveRequest {
            open_limit,
            ..wish(user, Uuid::now_v7(), minimum, 100)
        };
        let other_model = ReserveRequest {
            model_id: 5,
            ..limited(&poor, 0, 1)
        };
        assert_eq!(
            refusal(house.reserve(other_model).await),
            Reason::ModelNotGranted
        );
        let without_money = house.reserve(limited(&poor, 0, 1)).await;
        assert_eq!(refusal(without_money), Reason::BalanceInsufficient);
        let beyond = house.reserve(limited(&ann, 101, 1)).await;
        assert_eq!(refusal(beyond), Reason::BalanceInsufficient);
        let all = Uuid::now_v7();
        house.reserve(wish(&ann, all, 0, 100)).await.unwrap();
        let second = house.reserve(limited(&ann, 0, 1)).await;
        assert_eq!(refusal(second), Reason::RunLimit);
        let unlimited = house.reserve(limited(&ann, 0, 2)).await;
        assert_eq!(refusal(unlimited), Reason::BalanceInsufficient);
        house.settle(all, 40).await.unwrap();
        assert_eq!(house.reserve(limited(&ann, 60, 1)).await.unwrap(), 60);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn background_work_keeps_nobody_waiting() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let limited = |background| ReserveRequest {
            open_limit: 1,
            background,
            ..wish(&ann, Uuid::now_v7(), 0, 10)
        };
        house.reserve(limited(true)).await.unwrap();
        house.reserve(limited(false)).await.unwrap();
        let second = house.reserve(limited(false)).await;
        assert_eq!(refusal(second), Reason::RunLimit);
        assert_eq!(house.money(&ann).await, (100, 20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_price_needs_no_money_set_aside() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let run = Uuid::now_v7();
        assert_eq!(house.reserve(wish(&ann, run, 0, 0)).await.unwrap(), 0);
        assert_eq!(house.settle(run, 0).await.unwrap().charged_microdollars, 0);
    }
}
