//! `/auth`.

use confab_testkit::{Shape, System};
use serde_json::{Value, json};

use super::api::{Api, is_guarded, says};
use super::{DOLLAR, ELSEWHERE, PASSWORD, token};

fn credentials(username: &str, password: &str) -> Value {
    json!({ "username": username, "password": password })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_as_described() {
    let system = System::start(Shape::Sqlite).await;
    let api = Api::of(&system).await;
    sign_up_and_in(&api).await;
    let ann = system.add_user("Ann", &[4], DOLLAR).await;
    let ben = system.add_user("Ben", &[4], DOLLAR).await;
    let (ann, ben) = (token(&system, ann).await, token(&system, ben).await);
    change_profile(&api, &ann, &ben).await;
    make_keys(&api, &ann, &ben).await;
    refuse(&api, &ann).await;
    api.assert_all_seen("account", &[]);
    system.stop().await;
}

async fn sign_up_and_in(api: &Api) {
    let ask = |name: &str| api.ask(&format!("account_{name}"));
    let ann = json!({
        "username": "ann", "password": PASSWORD, "email": "ann@example.org", "fullname": "Ann", "phone_number": "1",
    });
    ask("register").json(ann.clone()).gives(201).await;
    ask("register").json(ann).gives(409).await;
    let short = credentials("ben", "short");
    ask("register").json(short).gives(400).await;

    let sign_in = || ask("login").json(credentials("ann", PASSWORD));
    let signed_in = sign_in().gives(200).await.body;
    ask("login").json(json!({})).gives(400).await;
    let ticket = ask("ticket").bearer(signed_in["access"].as_str().unwrap());
    ticket.gives(200).await;

    let refresh = json!({ "refresh": signed_in["refresh"] });
    let refreshed = ask("refresh").json(refresh).gives(200).await.body;
    let wrong = json!({ "refresh": "wrong" });
    ask("refresh").json(wrong).gives(401).await;
    ask("refresh").json(json!({})).gives(400).await;
    let signed_out = json!({ "refresh": refreshed["refresh"] });
    ask("logout").json(signed_out).gives(200).await;
    ask("logout").json(json!({ "refresh": 1 })).gives(400).await;
    let access = text(&sign_in().gives(200).await.body["access"]);
    ask("logout").bearer(&access).gives(200).await;

    let wrong = || ask("login").json(credentials("ann", "wrong"));
    wrong().gives(401).await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) && statuses.len() < 9 {
        statuses.push(wrong().reply().await.status);
    }
    assert_eq!(statuses.pop(), Some(429));
}

async fn change_profile(api: &Api, ann: &str, ben: &str) {
    let ask = |name: &str| api.ask(&format!("account_{name}")).bearer(ann);
    let changes = json!({
        "email": "other@example.org", "fullname": "Ann", "date_of_birth": "1990-01-31", "gender": "f",
        "country_code": "+41", "phone_number": "123", "photo": null,
    });
    ask("change_me").json(changes.clone()).gives(200).await;
    let birthday = json!({ "date_of_birth": "yesterday" });
    ask("change_me").json(birthday).gives(400).await;
    let taken = api.ask("account_change_me").bearer(ben);
    taken.json(changes).gives(409).await;
    let me = ask("me").gives(200).await.body;
    assert_eq!(me["user"]["date_of_birth"], "1990-01-31");
    ask("money").gives(200).await;
}

async fn make_keys(api: &Api, ann: &str, ben: &str) {
    let ask = |name: &str| api.ask(&format!("account_{name}")).bearer(ann);
    let wanted = json!({
        "name": "test", "scopes": ["chat"], "models": [4], "budget_microdollars": 1, "lifetime_seconds": 60,
    });
    let made = ask("make_key").json(wanted).gives(201).await.body;
    let made = text(&made["key"]["id"]);
    ask("make_key").json(json!({})).gives(201).await;
    let wanted = json!({ "scopes": ["nonsense"] });
    ask("make_key").json(wanted).gives(400).await;
    let wanted = json!({ "models": [1] });
    ask("make_key").json(wanted).gives(403).await;
    ask("revoke_key").at("id", &made).gives(200).await;
    let foreign = api.ask("account_revoke_key").at("id", &made).bearer(ben);
    foreign.gives(404).await;
    let keys = ask("keys").gives(200).await.body;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
}

/// What any request can be refused for.
async fn refuse(api: &Api, ann: &str) {
    for name in api.named("account", is_guarded) {
        api.ask(&name).anywhere("x").gives(401).await;
    }
    for name in api.named("account", says("403")) {
        let ask = api.ask(&name).anywhere("x").bearer(ann);
        ask.on_page(ELSEWHERE).gives(403).await;
    }
    for name in api.named("account", says("413")) {
        let ask = api.ask(&name).anywhere("x").bearer(ann);
        ask.json(json!("x".repeat(17 * 1024))).gives(413).await;
    }
}
