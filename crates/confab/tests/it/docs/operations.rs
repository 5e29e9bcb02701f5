//! What operators ask, and the whole of the document.

use confab_testkit::{Shape, System};

use super::api::Api;

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_ask_is_as_described() {
    let system = System::start(Shape::Sqlite).await;
    let api = Api::of(&system).await;
    for name in ["livez", "readyz", "jwks"] {
        api.ask(&format!("operations_{name}")).gives(200).await;
    }
    api.assert_all_seen("operations", &[]);
    system.stop().await;
}

/// There is a test here for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn no_room_is_left_out() {
    let system = System::start(Shape::Sqlite).await;
    let document = reqwest::get(system.url("/openapi.json")).await.unwrap();
    let document: serde_json::Value = document.json().await.unwrap();
    let tags = document["tags"].as_array().unwrap().iter();
    let rooms: Vec<&str> = tags.map(|tag| tag["name"].as_str().unwrap()).collect();
    let tested = [
        "account",
        "assistant",
        "conversations",
        "direct",
        "openai",
        "operations",
    ];
    assert_eq!(rooms, tested);
    system.stop().await;
}
