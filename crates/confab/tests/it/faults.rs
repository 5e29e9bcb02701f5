//! What a front end is told when a part is away.

use confab_testkit::assistant::Client;
use confab_testkit::{Part, Rest, Shape, System, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_said_and_nothing_is_charged() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let settings = [("completions.providers.agent.url", nowhere.as_str())];
    for shape in [Shape::Sqlite, Shape::Split] {
        let system = System::start_with(shape, &settings).await;
        let user = system.add_user("Test User", &[4], 1_000_000).await;
        let mut client = Client::connect(system.address()).await;
        let reply = client.ask(user, "NEW", "gpt-4-turbo", "hello").await;
        assert_eq!(
            reply,
            json!({ "error": "Unable to Receive Response To Query" })
        );
        assert_eq!(system.account(user).await.balance_microdollars, 1_000_000);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_there_after_a_restart() {
    for shape in Shape::ALL {
        let mut system = System::start(shape).await;
        let user = system.add_user("Test User", &[4], 1_000_000).await;
        let mut client = Client::connect(system.address()).await;
        let reply = client.ask(user, "NEW", "gpt-4-turbo", "remember me").await;
        let session = reply["data"]["session_id"].as_str().unwrap().to_owned();
        let said = client.history(user, &session).await;
        drop(client);
        system.restart().await;
        let mut client = Client::connect(system.address()).await;
        assert_eq!(client.history(user, &session).await, said);
        let reply = client.ask(user, &session, "gpt-4-turbo", "and now").await;
        assert!(reply["data"]["message"].is_string(), "{reply}");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_gets_no_traffic_while_it_does_not_reach_the_conversations() {
    let mut system = System::start(Shape::Split).await;
    let [cut_off, whole] = system.addresses()[..] else {
        panic!("there are two gateways");
    };
    let ready = async |address| Rest::anonymous(address).get("/readyz").await.0;
    assert_eq!(ready(cut_off).await, 200);
    system.stop_part(Part::Threads(0)).await;
    eventually("it says no", async || {
        (ready(cut_off).await == 503).then_some(())
    })
    .await;
    assert_eq!(ready(whole).await, 200);
    system.start_part(Part::Threads(0)).await;
    eventually("it is back", async || {
        (ready(cut_off).await == 200).then_some(())
    })
    .await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_plain_requests_are_answered() {
    let system = System::start(Shape::Sqlite).await;
    let get = async |path: &str| {
        let response = reqwest::get(system.url(path)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/ws").await, (426, "Upgrade Required".to_owned()));
    assert_eq!(get("/livez").await.0, 200);
    assert_eq!(get("/readyz").await.0, 200);
    let (status, body) = get("/nowhere").await;
    assert_eq!(status, 404);
    serde_json::from_str::<serde_json::Value>(&body).unwrap();
    system.stop().await;
}
