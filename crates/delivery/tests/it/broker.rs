//! What holds when the broker comes and goes.

use std::net::SocketAddr;

use confab_delivery::{Delivery, DeliveryError, GatewayId, Link, To};
use confab_rpc::delivery::Events;
use confab_rpc::threads::Entry;
use confab_runtime::Tasks;
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};

use crate::proxy::Proxy;
use crate::{events, ids, open, rabbitmq, settings, through, up};

async fn proxy(open: bool) -> (Proxy, String) {
    let url: lapin::uri::AMQPUri = rabbitmq().parse().unwrap();
    let broker = format!("{}:{}", url.authority.host, url.authority.port);
    let broker: SocketAddr = tokio::net::lookup_host(broker)
        .await
        .unwrap()
        .next()
        .unwrap();
    let proxy = Proxy::to(broker, open).await;
    let url = through(&rabbitmq(), proxy.port);
    (proxy, url)
}

async fn down(delivery: &Delivery) {
    let mut state = delivery.state();
    state.wait_for(|link| *link == Link::Down).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_comes_back_by_itself() {
    let (proxy, url) = proxy(true).await;
    let delivery = open(&settings(&url)).await;
    let gateway = GatewayId::new();
    let mut subscription = delivery.subscribe(gateway);
    let to = To::Gateways(vec![gateway]);
    for round in 0..3 {
        up(&delivery).await;
        delivery.publish(&to, events([round])).await.unwrap();
        assert_eq!(ids(&subscription.next().await.unwrap()), [round]);

        proxy.cut();
        down(&delivery).await;
        let lost = delivery.publish(&to, events([99])).await;
        assert_eq!(lost, Err(DeliveryError::Unavailable(Link::Down)));
        proxy.heal();
    }
    up(&delivery).await;
    delivery.publish(&to, events([3])).await.unwrap();
    assert_eq!(ids(&subscription.next().await.unwrap()), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_when_the_connection_is_cut_is_reported() {
    let (proxy, url) = proxy(true).await;
    let delivery = open(&settings(&url)).await;
    let calls: Vec<_> = (0..64)
        .map(|id| delivery.publish(&To::All, events([id])))
        .collect();
    let beyond = delivery.publish(&To::All, events([64])).await;
    proxy.cut();
    down(&delivery).await;
    for call in calls {
        // Confirmed before the cut, or known not to be.
        let outcome = call.await;
        assert_ne!(outcome, Err(DeliveryError::Full));
    }
    assert!(matches!(beyond, Ok(()) | Err(DeliveryError::Full)));
    proxy.heal();
    up(&delivery).await;
    for _ in 0..2 {
        let calls: Vec<_> = (0..64)
            .map(|id| delivery.publish(&To::All, events([id])))
            .collect();
        for call in calls {
            call.await.expect("the window is whole again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_at_the_start_is_found_later() {
    let (proxy, url) = proxy(false).await;
    let delivery = Delivery::open(&settings(&url), &Tasks::new()).unwrap();
    let mut subscription = delivery.subscribe(GatewayId::new());
    let refused = delivery.publish(&To::All, events([1])).await;
    assert_eq!(refused, Err(DeliveryError::Unavailable(Link::Down)));
    proxy.heal();
    up(&delivery).await;
    delivery.publish(&To::All, events([2])).await.unwrap();
    assert_eq!(ids(&subscription.next().await.unwrap()), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_are_counted_and_dropped() {
    let settings = settings(&rabbitmq());
    let delivery = open(&settings).await;
    let mut subscription = delivery.subscribe(GatewayId::new());
    up(&delivery).await;

    let connection = Connection::connect(&rabbitmq(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    for _ in 0..100 {
        let confirm = channel.basic_publish(
            settings.exchange.as_str().into(),
            "all".into(),
            BasicPublishOptions::default(),
            b"\xff not a message",
            BasicProperties::default(),
        );
        assert!(confirm.await.unwrap().await.unwrap().is_ack());
    }
    delivery.publish(&To::All, events([1])).await.unwrap();
    assert_eq!(ids(&subscription.next().await.unwrap()), [1]);
    assert_eq!(
        delivery.malformed(),
        100,
        "more than the prefetch: they were acknowledged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_carries_the_trace_of_its_first_entry() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let settings = settings(&rabbitmq());
    let delivery = open(&settings).await;

    let connection = Connection::connect(&rabbitmq(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare("".into(), options, FieldTable::default())
        .await
        .unwrap();
    channel
        .queue_bind(
            queue.name().clone(),
            settings.exchange.as_str().into(),
            "all".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let mut messages = channel
        .basic_consume(
            queue.name().clone(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();

    let traced = Entry {
        traceparent: TRACE.to_owned(),
        ..Entry::default()
    };
    let message = Events {
        entries: vec![Entry::default(), traced],
    };
    delivery.publish(&To::All, message).await.unwrap();
    let message = messages.next().await.unwrap().unwrap();
    let headers = message.properties.headers().clone().unwrap();
    assert_eq!(
        headers.inner()["traceparent"],
        AMQPValue::LongString(TRACE.into())
    );
}
