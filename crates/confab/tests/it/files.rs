//! Upload, download, and asking about a file.

use confab_testkit::assistant::Client;
use confab_testkit::{Shape, System};
use futures_util::stream;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use uuid::Uuid;

const DOLLAR: i64 = 1_000_000;
const TEXT: &str = "The quick brown fox.\n";

fn form(user: &str, session: &str) -> Form {
    Form::new()
        .part(
            "file",
            Part::text(TEXT)
                .file_name("notes.TXT")
                .mime_str("text/plain")
                .unwrap(),
        )
        .text("user_id", user.to_owned())
        .text("session_id", session.to_owned())
        .text("model_name", "gpt-4-turbo")
        .text("session_prompt", "Be brief.")
}

async fn upload(system: &System, form: Form) -> (StatusCode, Value) {
    let request = reqwest::Client::new()
        .post(system.url("/upload"))
        .header("origin", "http://localhost:3000")
        .multipart(form);
    let response = request.send().await.unwrap();
    let status = response.status();
    let cors = response.headers().get("access-control-allow-origin");
    assert!(cors.is_some(), "{status} carries CORS");
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_uploaded_asked_about_listed_and_removed_with_its_session() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        let (status, body) = upload(&system, form(&user.to_string(), "NEW")).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!(body["message"], "File uploaded successfully");
        let name = body["data"]["fileName"].as_str().unwrap().to_owned();
        let session = body["data"]["sessionId"].as_str().unwrap().to_owned();
        assert_eq!(name.strip_suffix(".txt").map(str::len), Some(32), "{name}");
        assert_eq!(body["data"]["size"], TEXT.len());

        let mut client = Client::connect(system.address()).await;
        let reply = client.call(1, json!({ "user_id": user })).await;
        assert_eq!(
            reply["data"]["session_info"],
            json!([{ "session_id": session, "session_name": "New Chat" }])
        );
        let asked = json!({
            "user_id": user, "session_id": session, "model_name": "gpt-4-turbo", "message": "What is in it?",
            "session_prompt": "", "file_name": name,
        });
        let reply = client.call(3, asked).await;
        let message = reply["data"]["message"].as_str().unwrap();
        assert!(message.contains("file"), "{reply}");
        let history = client.history(user, &session).await;
        let roles: Vec<&str> = history.iter().map(|(role, _)| role.as_str()).collect();
        assert_eq!(roles, ["user", "assistant", "file"]);
        assert_eq!(history[2].1, name);

        let url = system.url(&format!("/uploads/{name}"));
        let response = reqwest::get(&url).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(
            response.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("sandbox")
        );
        assert_eq!(response.text().await.unwrap(), TEXT);
        let part = reqwest::Client::new()
            .get(&url)
            .header("range", "bytes=4-8")
            .send()
            .await;
        let part = part.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.text().await.unwrap(), "quick");

        client
            .call(4, json!({ "user_id": user, "session_id": session }))
            .await;
        let gone = reqwest::get(&url).await.unwrap();
        assert_eq!(gone.status(), StatusCode::NOT_FOUND);
        let text = gone.text().await.unwrap();
        assert_eq!(text, format!("Cannot GET /uploads/{name}"));
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_upload_is_said_in_the_order_the_page_expects() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await.to_string();
    let stranger = system.add_user("Stranger", &[4], DOLLAR).await.to_string();
    let (_, body) = upload(&system, form(&stranger, "NEW")).await;
    let foreign = body["data"]["sessionId"].as_str().unwrap().to_owned();
    let file = || Part::text(TEXT).file_name("notes.txt");
    let told = |message: &str| json!({ "data": null, "message": message });
    for (form, expected) in [
        (
            Form::new().part("file", file()),
            told("session ID is required"),
        ),
        (
            Form::new().part("file", file()).text("session_id", "NEW"),
            told("user ID is required"),
        ),
        (
            Form::new()
                .text("session_id", "NEW")
                .text("user_id", user.clone()),
            told("model Name is required"),
        ),
    ] {
        assert_eq!(
            upload(&system, form).await,
            (StatusCode::BAD_REQUEST, expected)
        );
    }
    let without_file = Form::new()
        .text("session_id", "NEW")
        .text("user_id", user.clone())
        .text("model_id", "4");
    let (status, body) = upload(&system, without_file).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.to_string().contains("Server error"), "{body}");
    for session in [Uuid::now_v7().to_string(), "junk".to_owned(), foreign] {
        let refused = upload(&system, form(&user, &session)).await;
        let expected = Value::String("no session data found".to_owned());
        assert_eq!(refused, (StatusCode::INTERNAL_SERVER_ERROR, expected));
    }
    let nobody = upload(&system, form(&Uuid::now_v7().to_string(), "NEW")).await;
    let expected = told("Unable To Create New Session");
    assert_eq!(nobody, (StatusCode::INTERNAL_SERVER_ERROR, expected));
    let get = reqwest::get(system.url("/upload")).await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_is_refused_and_leaves_nothing() {
    for shape in [Shape::Sqlite, Shape::Split] {
        let system = System::start_with(shape, &[("attachments.max_file_mib", "1")]).await;
        let user = system.add_user("Test User", &[4], DOLLAR).await;
        // Three times the limit, in pieces: nobody knows the size beforehand.
        let pieces = stream::iter((0..48).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024])));
        let part = Part::stream(reqwest::Body::wrap_stream(pieces)).file_name("large.bin");
        let form = Form::new()
            .text("user_id", user.to_string())
            .text("session_id", "NEW")
            .text("model_name", "gpt-4-turbo")
            .text("session_prompt", "")
            .part("file", part);
        let (status, body) = upload(&system, form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(
            body["message"],
            "File size exceeds the maximum limit of 1 MB"
        );
        let mut client = Client::connect(system.address()).await;
        let reply = client.call(1, json!({ "user_id": user })).await;
        assert_eq!(
            reply["data"]["session_info"],
            json!([]),
            "no session is left behind"
        );
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_name_is_a_name_of_this_session_and_never_a_path() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    let (_, mine) = upload(&system, form(&user.to_string(), "NEW")).await;
    let (_, other) = upload(&system, form(&user.to_string(), "NEW")).await;
    let session = mine["data"]["sessionId"].as_str().unwrap();
    let elsewhere = other["data"]["fileName"].as_str().unwrap();
    let mut client = Client::connect(system.address()).await;
    for name in [
        "../../../etc/passwd",
        "..%2f..%2fsecret",
        "/etc/passwd",
        "00000000000000000000000000000000.txt",
        elsewhere,
    ] {
        let asked = json!({
            "user_id": user, "session_id": session, "model_name": "gpt-4-turbo", "message": "Read it",
            "session_prompt": "", "file_name": name,
        });
        let reply = client.call(3, asked).await;
        assert!(reply["error"].is_string(), "{name}: {reply}");
    }
    let kept = reqwest::get(system.url(&format!("/uploads/{elsewhere}")))
        .await
        .unwrap();
    assert_eq!(
        kept.status(),
        StatusCode::OK,
        "a file of another session is not touched"
    );
    for path in [
        "/uploads/../data",
        "/uploads/..%2f..%2fCargo.toml",
        "/uploads/%00",
    ] {
        let response = reqwest::get(system.url(path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(system.account(user).await.balance_microdollars, DOLLAR);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_a_script_is_only_ever_downloaded() {
    let system = System::start(Shape::Sqlite).await;
    let user = system.add_user("Test User", &[4], DOLLAR).await;
    for (name, content) in [
        ("page.html", "<html><script>alert(1)</script></html>"),
        (
            "drawing.svg",
            "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        ),
        ("notes.txt", "<!doctype html><script>alert(1)</script>"),
    ] {
        let part = Part::text(content)
            .file_name(name)
            .mime_str("text/html")
            .unwrap();
        let form = Form::new()
            .part("file", part)
            .text("user_id", user.to_string())
            .text("session_id", "NEW")
            .text("model_name", "gpt-4-turbo");
        let (_, body) = upload(&system, form).await;
        let stored = body["data"]["fileName"].as_str().unwrap();
        let response = reqwest::get(system.url(&format!("/uploads/{stored}")))
            .await
            .unwrap();
        let disposition = response.headers()["content-disposition"].to_str().unwrap();
        assert!(
            disposition.starts_with("attachment"),
            "{name}: {disposition}"
        );
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(
            !kind.contains("html") && !kind.contains("svg"),
            "{name}: {kind}"
        );
    }
    system.stop().await;
}
