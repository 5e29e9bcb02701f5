//! What holds on both ways.

use confab_delivery::{Delivery, GatewayId, Settings, To};

use crate::{events, ids, open, rabbitmq, settings, up};

/// The settings of either way.
fn both() -> [Settings; 2] {
    [settings(""), settings(&rabbitmq())]
}

async fn publish(delivery: &Delivery, to: To, id: i64) {
    delivery.publish(&to, events([id])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_gateways_it_names() {
    for settings in both() {
        let delivery = open(&settings).await;
        let [a, b] = [GatewayId::new(), GatewayId::new()];
        let mut at_a = delivery.subscribe(a);
        let mut at_b = delivery.subscribe(b);
        up(&delivery).await;

        publish(&delivery, To::Gateways(vec![a]), 1).await;
        publish(&delivery, To::All, 2).await;
        publish(&delivery, To::Gateways(vec![a, b]), 3).await;
        publish(&delivery, To::Gateways(vec![GatewayId::new()]), 4).await;
        publish(&delivery, To::Gateways(vec![]), 5).await;
        publish(&delivery, To::Gateways(vec![b]), 6).await;
        publish(&delivery, To::All, 7).await;

        for id in [1, 2, 3, 7] {
            assert_eq!(ids(&at_a.next().await.unwrap()), [id]);
        }
        for id in [2, 3, 6, 7] {
            assert_eq!(ids(&at_b.next().await.unwrap()), [id]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_keep_their_order_while_many_are_on_their_way() {
    for settings in both() {
        let delivery = open(&settings).await;
        let gateway = GatewayId::new();
        let mut subscription = delivery.subscribe(gateway);
        up(&delivery).await;

        let to = To::Gateways(vec![gateway]);
        for window in 0..10 {
            let calls: Vec<_> = (0..50)
                .map(|call| delivery.publish(&to, events([window * 50 + call])))
                .collect();
            // The last is waited for first: sending does not depend on who waits.
            for call in calls.into_iter().rev() {
                call.await.unwrap();
            }
        }
        for id in 0..500 {
            assert_eq!(ids(&subscription.next().await.unwrap()), [id]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_does_not_read_loses_the_oldest() {
    for settings in both() {
        let settings = Settings {
            queue_length: 4,
            prefetch: 1,
            ..settings
        };
        let delivery = open(&settings).await;
        let mut idle = delivery.subscribe(GatewayId::new());
        up(&delivery).await;
        for id in 1..=100 {
            publish(&delivery, To::All, id).await;
        }
        let mut got = Vec::new();
        while got.last() != Some(&100) {
            got.extend(ids(&idle.next().await.unwrap()));
        }
        assert!(got.is_sorted());
        assert!(got.ends_with(&[97, 98, 99, 100]), "{got:?}");
        // Besides what the queue holds, a few were on their way into the process already.
        assert!(got.len() <= 4 + 4, "{got:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_was_dropped_costs_nothing() {
    for settings in both() {
        let delivery = open(&settings).await;
        let gateway = GatewayId::new();
        drop(delivery.subscribe(gateway));
        let mut second = delivery.subscribe(gateway);
        up(&delivery).await;
        publish(&delivery, To::Gateways(vec![gateway]), 1).await;
        assert_eq!(ids(&second.next().await.unwrap()), [1]);
        drop(second);
        publish(&delivery, To::Gateways(vec![gateway]), 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_end_when_the_process_stops() {
    for settings in both() {
        let tasks = confab_runtime::Tasks::new();
        let delivery = Delivery::open(&settings, &tasks).unwrap();
        let mut subscription = delivery.subscribe(GatewayId::new());
        up(&delivery).await;
        assert!(tasks.stop(std::time::Duration::from_secs(10)).await);
        assert_eq!(subscription.next().await, None);
    }
}
