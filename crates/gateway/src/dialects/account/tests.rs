//! What bodies mean, and how failures are told.

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use confab_rpc::sessions::sign_in_request::By;
use confab_rpc::sessions::{Account, ApiKey, CreatedApiKey};
use confab_rpc::{Fault, Reason};
use prost_types::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};

use super::fault::Refused;
use super::handlers::{named, parse};
use super::keys::{Key, NamedSecret, NewKey};
use super::mine::{Changes, Money};
use super::wire;

/// Status, `Retry-After` and body of a failure.
fn told(fault: Fault) -> (StatusCode, Option<String>, Value) {
    let response = HttpResponse::from(Refused::from(fault));
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = response.into_body().try_into_bytes().unwrap();
    (status, retry_after, serde_json::from_slice(&body).unwrap())
}

#[test]
fn failures_have_a_status_and_a_code() {
    for (reason, status, code) in [
        (Reason::Invalid, 400, "invalid_request"),
        (Reason::CredentialsWrong, 401, "credentials_wrong"),
        (Reason::TokenInvalid, 401, "token_invalid"),
        (Reason::TokenExpired, 401, "token_expired"),
        (Reason::RegistrationClosed, 403, "registration_closed"),
        (Reason::ModelNotGranted, 403, "model_not_granted"),
        (Reason::ApiKeyNotFound, 404, "key_not_found"),
        (Reason::UsernameTaken, 409, "username_taken"),
        (Reason::EmailTaken, 409, "email_taken"),
        (Reason::Overloaded, 503, "unavailable"),
        (Reason::Internal, 500, "internal"),
    ] {
        let (told_status, _, body) = told(Fault::new(reason, "why"));
        assert_eq!(told_status.as_u16(), status);
        assert_eq!(body["error"]["code"], code);
    }
}

#[test]
fn who_is_too_fast_is_told_when_to_come_back() {
    let fault = Fault::new(Reason::Throttled, "too many attempts; wait 8 seconds");
    let (status, retry_after, body) = told(fault.with_limit(8));
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(retry_after.as_deref(), Some("8"));
    let expected = json!({
        "error": { "code": "throttled", "message": "too many attempts; wait 8 seconds" },
    });
    assert_eq!(body, expected);
}

#[test]
fn a_failure_of_ours_shows_no_cause() {
    let (_, _, body) = told(Fault::new(Reason::Internal, "the table is gone"));
    assert!(!body.to_string().contains("table"));
}

#[test]
fn a_malformed_body_is_not_repeated() {
    let body = br#"{"username": "ann", "password": 12345678}"#;
    let refused = parse::<wire::Login>(body).err().unwrap();
    let response = HttpResponse::from(refused);
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = response.into_body().try_into_bytes().unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("12345678"));
}

#[test]
fn one_signs_in_by_name_or_address() {
    let name = || Some("ann".to_owned());
    assert_eq!(named(name(), None), Ok(By::Username("ann".to_owned())));
    assert_eq!(named(None, name()), Ok(By::Email("ann".to_owned())));
    assert!(named(None, None).is_err());
}

#[test]
fn a_refresh_token_has_two_names() {
    for body in [
        r#"{"refresh": "x"}"#,
        r#"{"refresh_token": "x", "more": 1}"#,
    ] {
        let body: wire::Refresh = parse(body.as_bytes()).unwrap();
        assert_eq!(body.refresh.expose_secret(), "x");
    }
}

fn golden(value: &impl Serialize, expected: &str) {
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(serde_json::to_value(value).unwrap(), expected);
}

fn key() -> ApiKey {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    ApiKey {
        id: "0191d8a0-0000-7000-8000-000000000001".to_owned(),
        user_id: "0191d8a0-0000-7000-8000-00000000000a".to_owned(),
        name: "deploy".to_owned(),
        hint: "wxyz".to_owned(),
        scopes: vec!["models".to_owned(), "chat".to_owned()],
        models: vec![4],
        budget_microdollars: Some(250_000),
        spent_microdollars: 0,
        created_at: at(1_800_000_000),
        expires_at: at(1_800_003_600),
        revoked_at: None,
    }
}

#[test]
fn keys_and_money_look_as_front_ends_were_told() {
    let made = CreatedApiKey {
        key: Some(key()),
        secret: "sk-confab-…wxyz".to_owned(),
    };
    let made = NamedSecret::try_from(made).unwrap();
    golden(&made, include_str!("golden/key_made.json"));
    let scopes = ["models", "chat", "embeddings", "conversations"];
    let endless = Key::from(ApiKey {
        name: String::new(),
        scopes: scopes.map(str::to_owned).to_vec(),
        models: Vec::new(),
        budget_microdollars: None,
        spent_microdollars: 12,
        expires_at: None,
        ..key()
    });
    golden(&endless, include_str!("golden/key_endless.json"));
    let money = Money::from(Account {
        balance_microdollars: 1_000_000,
        reserved_microdollars: 20_000,
        ..Default::default()
    });
    golden(&money, include_str!("golden/money.json"));
}

#[test]
fn a_limit_that_is_misspelt_makes_no_key() {
    assert!(parse::<NewKey>(b"{}").is_ok());
    assert!(parse::<NewKey>(br#"{"budget_microdollars": null, "scopes": ["chat"]}"#).is_ok());
    for body in [
        r#"{"budget": 1}"#,
        r#"{"budget_microdollars": 0.5}"#,
        r#"{"scope": "chat"}"#,
        r#"{"lifetime_seconds": -1}"#,
    ] {
        assert!(parse::<NewKey>(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_change_tells_what_is_not_named_from_what_is_emptied() {
    let changes = |body: &str| {
        parse::<Changes>(body.as_bytes())
            .unwrap()
            .of("x".to_owned())
    };
    let change = changes(r#"{"fullname": "Ann", "date_of_birth": null, "email": ""}"#);
    assert_eq!(change.fullname.as_deref(), Some("Ann"));
    assert_eq!(change.date_of_birth.as_deref(), Some(""));
    assert_eq!(change.email.as_deref(), Some(""));
    assert_eq!(change.photo, None);
    assert_eq!(change.user_id, "x");
}
