//! Files of the AI-session front end.

use confab_testkit::{Shape, System};
use reqwest::multipart::Form;
use serde_json::Value;
use uuid::Uuid;

use super::api::Api;
use super::{DOLLAR, ELSEWHERE, TEXT, TOKEN_MODE, assert_file, form, token};

fn upload(user: Uuid, session: &str, bytes: impl Into<Vec<u8>>) -> Form {
    form("file", bytes)
        .text("user_id", user.to_string())
        .text("session_id", session.to_owned())
        .text("model_name", "gpt-4-turbo")
        .text("session_prompt", "Be brief.")
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_sessions_are_as_described() {
    let settings = [
        TOKEN_MODE,
        ("attachments.max_file_mib", "1"),
        ("attachments.quota_mib", "1"),
    ];
    let system = System::start_with(Shape::Sqlite, &settings).await;
    let api = Api::of(&system).await;
    let user = system.add_user("ann", &[4], DOLLAR).await;
    let token = token(&system, user).await;
    let ask = || api.ask("assistant_upload").bearer(&token);
    let stored = ask().form(upload(user, "NEW", TEXT)).gives(202).await.body;
    let name = stored["data"]["fileName"].as_str().unwrap().to_owned();

    ask().form(form("file", TEXT)).gives(400).await;
    let large = upload(user, "NEW", vec![b'x'; 3 << 20]);
    ask().form(large).gives(400).await;
    let anonymous = api.ask("assistant_upload");
    anonymous.form(upload(user, "NEW", TEXT)).gives(401).await;
    let elsewhere = ask().on_page(ELSEWHERE);
    elsewhere.form(upload(user, "NEW", TEXT)).gives(403).await;
    let nowhere = upload(user, "nowhere", TEXT);
    let told = ask().form(nowhere).gives(500).await.body;
    assert!(told.is_string(), "{told}");
    let somebody = upload(Uuid::now_v7(), "NEW", TEXT);
    let told = ask().form(somebody).gives(500).await.body;
    assert!(told.is_object(), "{told}");
    for status in [202, 507] {
        let half = upload(user, "NEW", vec![b'x'; 600 << 10]);
        ask().form(half).gives(status).await;
    }

    let ask = || api.ask("assistant_download").at("name", &name);
    assert_file(&ask, &token).await;
    let other = api.ask("assistant_download").at("name", "other.txt");
    let told = other.bearer(&token).gives(404).await.body;
    assert_eq!(told, Value::from("Cannot GET /uploads/other.txt"));
    api.assert_all_seen("assistant", &[]);
    system.stop().await;
}
