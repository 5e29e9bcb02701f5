//! The broker is an accelerator: without it everything works, slower.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use confab_testkit::history::Message;
use confab_testkit::walker::Conductor;
use confab_testkit::{
    Proxy, Queue, RABBITMQ, RabbitMq, Rest, Shape, System, Way, Wire, direct, eventually, named_by,
};
use reqwest::Url;

use super::gateway;
use super::load::Load;

const SENDS: usize = 60;
const TOTAL: usize = 5 * SENDS;
/// Of a system that is split.
const GATEWAYS: usize = 2;

/// A wire to the broker, and the URL of its near end.
async fn wire(whole: bool) -> (Proxy, String) {
    let mut url: Url = named_by(RABBITMQ).parse().unwrap();
    let (host, port) = (
        url.host_str().unwrap().to_owned(),
        url.port().unwrap_or(5672),
    );
    let mut targets = tokio::net::lookup_host((host, port)).await.unwrap();
    let target: SocketAddr = targets.next().unwrap();
    let proxy = Proxy::start(target).await;
    if !whole {
        proxy.cut();
    }
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.address().port())).unwrap();
    (proxy, url.to_string())
}

/// Waits until every gateway says that it is degraded, or no longer.
async fn until_degraded(system: &System, degraded: bool) {
    for address in system.addresses() {
        let rest = Rest::anonymous(address);
        eventually(&format!("degraded: {degraded}"), async || {
            let (status, body) = rest.get("/readyz").await;
            assert_eq!(status, 200, "without the broker it is ready all the same");
            (body.to_string().contains("degraded") == degraded).then_some(())
        })
        .await;
    }
}

/// How often two people talk in turns.
const TURNS: u32 = 10;

/// Sends over both gateways; each arrives at the other, and nobody answers before.
async fn talk(
    ann: &mut direct::Client,
    ben: &mut direct::Client,
    about: &str,
    said: &mut Vec<Message>,
) {
    for index in 0..TURNS {
        let (question, answer) = (format!("{about}? {index}"), format!("{about}! {index}"));
        said.push(ann.say(ben.person.id, &question).await);
        ben.hear("re_message", &question).await;
        said.push(ben.say(ann.person.id, &answer).await);
        ann.hear("re_message", &answer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_goes_on_without_the_broker_and_comes_back_to_it() {
    let (proxy, url) = wire(false).await;
    let settings = [("delivery.url", url.as_str())];
    let system = System::start_with(Shape::Split, &settings).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut ann = direct::Client::connect(gateway(&system, 0), &ann).await;
    let mut ben = direct::Client::connect(gateway(&system, 1), &ben).await;
    let mut said = Vec::new();
    until_degraded(&system, true).await;
    talk(&mut ann, &mut ben, "away from the start", &mut said).await;
    proxy.mend().await;
    until_degraded(&system, false).await;
    talk(&mut ann, &mut ben, "there", &mut said).await;
    proxy.cut();
    until_degraded(&system, true).await;
    talk(&mut ann, &mut ben, "away again", &mut said).await;
    proxy.mend().await;
    until_degraded(&system, false).await;
    talk(&mut ann, &mut ben, "back again", &mut said).await;
    assert_eq!(ann.heard(), said);
    assert_eq!(ben.heard(), said);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_in_its_turn_also_while_hints_are_late() {
    let (proxy, url) = wire(true).await;
    let settings = [("delivery.url", url.as_str())];
    let system = System::start_with(Shape::Split, &settings).await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let (here, there) = (gateway(&system, 0), gateway(&system, 1));
    let mut sender = direct::Client::connect(here, &ben).await;
    let mut near = direct::Client::connect(here, &ann).await;
    let mut far = direct::Client::connect(there, &ann).await;
    until_degraded(&system, false).await;
    let mut said = vec![sender.say(ann.id, "before").await];
    far.hear("re_message", "before").await;

    // The other gateway has heard of neither when it is asked for the second one again.
    proxy.set(Way::Back, Wire::held());
    said.push(sender.say(ann.id, "unheard of").await);
    said.push(near.say(ben.id, "repeated").await);
    let repeated = far.say(ben.id, "repeated").await;
    assert_eq!(repeated, said[2]);
    assert_eq!(far.heard(), said);
    proxy.mend().await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_under_load_breaks_nothing() {
    let (proxy, url) = wire(true).await;
    let settings = [("delivery.url", url.as_str())];
    let mut system = System::start_with(Shape::Split, &settings).await;
    let load = Load::prepare(&system, SENDS).await;
    let cut = async |_: &mut System, load: &Conductor| {
        for share in [4, 2] {
            load.acknowledged(TOTAL / share).await;
            proxy.cut();
            load.acknowledged(TOTAL / share + TOTAL / 8).await;
            proxy.mend().await;
        }
    };
    assert_eq!(load.run(&mut system, cut).await, []);
    system.stop().await;
}

/// A broker of the test's own and a system that uses it.
async fn with_own_broker() -> (RabbitMq, System) {
    let broker = RabbitMq::start().await;
    let url = broker.url();
    let system = System::start_with(Shape::Split, &[("delivery.url", url.as_str())]).await;
    (broker, system)
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_goes_on_while_the_broker_takes_no_messages() {
    let (broker, system) = with_own_broker().await;
    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut ann = direct::Client::connect(gateway(&system, 0), &ann).await;
    let mut ben = direct::Client::connect(gateway(&system, 1), &ben).await;
    let mut said = Vec::new();
    until_degraded(&system, false).await;
    talk(&mut ann, &mut ben, "before", &mut said).await;

    broker.block().await;
    until_degraded(&system, true).await;
    let began = Instant::now();
    talk(&mut ann, &mut ben, "while it is blocked", &mut said).await;
    let each = began.elapsed() / (2 * TURNS);
    assert!(each < Duration::from_secs(2), "{each:?} for each message");

    broker.unblock().await;
    until_degraded(&system, false).await;
    talk(&mut ann, &mut ben, "afterwards", &mut said).await;
    assert_eq!(ann.heard(), said);
    assert_eq!(ben.heard(), said);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_no_messages_under_load_breaks_nothing() {
    let (broker, mut system) = with_own_broker().await;
    until_degraded(&system, false).await;
    let load = Load::prepare(&system, SENDS).await;
    let block = async |system: &mut System, load: &Conductor| {
        for share in [4, 2] {
            load.acknowledged(TOTAL / share).await;
            broker.block().await;
            until_degraded(system, true).await;
            load.acknowledged(TOTAL / share + TOTAL / 8).await;
            broker.unblock().await;
        }
    };
    assert_eq!(load.run(&mut system, block).await, []);
    until_degraded(&system, false).await;
    system.stop().await;
}

/// The queues of the gateways, each of which is read.
async fn until_read(broker: &RabbitMq, other_than: &[Queue]) -> Vec<Queue> {
    eventually("each gateway reads a queue", async || {
        let queues = broker.queues().await;
        let read = queues.iter().all(|queue| queue.consumers == 1);
        let new = queues.iter().all(|queue| !other_than.contains(queue));
        (read && new && queues.len() == GATEWAYS).then_some(queues)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_is_made_anew() {
    let (broker, mut system) = with_own_broker().await;
    let queues = until_read(&broker, &[]).await;
    let load = Load::prepare(&system, SENDS).await;
    let delete = async |_: &mut System, load: &Conductor| {
        load.acknowledged(TOTAL / 4).await;
        for queue in &queues {
            broker.delete_queue(&queue.name).await;
        }
    };
    assert_eq!(load.run(&mut system, delete).await, []);
    until_read(&broker, &queues).await;
    until_degraded(&system, false).await;

    let [ann, ben] = system.people_named(["ann", "ben"]).await;
    let mut ann = direct::Client::connect(gateway(&system, 0), &ann).await;
    let mut ben = direct::Client::connect(gateway(&system, 1), &ben).await;
    let began = Instant::now();
    talk(&mut ann, &mut ben, "back", &mut Vec::new()).await;
    let took = began.elapsed();
    // Without hints, each message would wait for the next comparison, which comes every two seconds.
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_not_needed_for_delivery() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let settings = [("cache.url", url.as_str())];
    let mut system = System::start_with(Shape::Split, &settings).await;
    let load = Load::prepare(&system, SENDS).await;
    assert_eq!(load.run(&mut system, async |_, _| {}).await, []);
    until_degraded(&system, true).await;
    system.stop().await;
}
