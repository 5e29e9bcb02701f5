//! Tokens of an OpenID Connect issuer.

use axum::http::StatusCode;
use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::sessions::User;
use confab_sessions::{OidcSettings, Settings};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::house::{House, both_with, settings, start};
use crate::issuer::{Issuer, Key, token};

fn trusting(issuer: &Issuer) -> Settings {
    let mut settings = settings();
    settings.oidc = OidcSettings {
        issuer: issuer.url.clone(),
        audience: "chat".to_owned(),
        jwks_url: String::new(),
    };
    settings
}

fn claims(issuer: &Issuer, subject: &str, nickname: &str) -> Value {
    json!({
        "iss": issuer.url,
        "aud": ["account", "chat"],
        "sub": subject,
        "exp": start().timestamp() + 100_000,
        "nickname": nickname,
    })
}

impl House {
    /// The user that a good token belongs to.
    async fn who(&self, token: &str) -> User {
        self.verify(token).await.unwrap().user.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_at_first_sight() {
    for key in [Key::rs256("a"), Key::es256("a")] {
        let issuer = Issuer::start(&[&key]).await;
        for house in both_with(&trusting(&issuer)).await {
            let token = key.sign(&claims(&issuer, "auth0|1", "ann"));
            let ann = house.who(&token).await;
            assert_eq!(ann.username, "ann");
            assert!(ann.models.is_empty());
            assert_eq!(house.account(&ann).await.balance_microdollars, 0);
            let renamed = key.sign(&claims(&issuer, "auth0|1", "anna"));
            assert_eq!(house.who(&renamed).await, ann);
            let bob = house
                .who(&key.sign(&claims(&issuer, "auth0|2", "bob")))
                .await;
            assert_ne!(bob.id, ann.id);
        }
        assert_eq!(issuer.fetched(), 2, "once per house");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_called_by_the_best_name_there_is() {
    let key = Key::es256("a");
    let issuer = Issuer::start(&[&key]).await;
    for house in both_with(&trusting(&issuer)).await {
        let sign = |subject: &str, names: Value| {
            let mut claims = claims(&issuer, subject, "");
            let members = claims.as_object_mut().unwrap();
            members.extend(names.as_object().unwrap().clone());
            key.sign(&claims)
        };
        let names = json!({ "preferred_username": "ann.k", "email": "ann@example.org" });
        assert_eq!(house.who(&sign("1", names)).await.username, "ann.k");
        let names = json!({ "nickname": null, "email": "bob@example.org" });
        assert_eq!(house.who(&sign("2", names)).await.username, "bob");
        assert_eq!(house.who(&sign("sub 3", json!({}))).await.username, "sub 3");
        let long = house
            .who(&sign("4", json!({ "nickname": "é".repeat(300) })))
            .await;
        assert!(long.username.starts_with("éé") && long.username.len() <= 255);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_gets_a_number() {
    let key = Key::es256("a");
    let issuer = Issuer::start(&[&key]).await;
    for house in both_with(&trusting(&issuer)).await {
        let local = house.user("ann", 5).await;
        let mut names = vec![local.username];
        for subject in 0..5 {
            let token = key.sign(&claims(&issuer, &subject.to_string(), "ann"));
            let name = house.who(&token).await.username;
            let number = name.strip_prefix("ann").unwrap();
            assert!(number.parse::<u64>().is_ok(), "{name}");
            names.push(name);
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seen_many_times_at_once_a_user_is_made_once() {
    let key = Key::es256("a");
    let issuer = Issuer::start(&[&key]).await;
    for house in both_with(&trusting(&issuer)).await {
        let mut arriving = JoinSet::new();
        for number in 0..20 {
            let token = key.sign(&claims(&issuer, ["1", "2"][number % 2], "ann"));
            let mut sessions = house.sessions.clone();
            let request = confab_rpc::sessions::VerifyTokenRequest { token };
            arriving.spawn(async move { sessions.verify_token(request).await });
        }
        let mut ids = Vec::new();
        while let Some(verified) = arriving.join_next().await {
            ids.push(verified.unwrap().unwrap().into_inner().user.unwrap().id);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2);
    }
    assert_eq!(issuer.fetched(), 2, "once per house");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_meant_for_us_is_no_token() {
    let (key, stranger) = (Key::rs256("a"), Key::rs256("a"));
    let issuer = Issuer::start(&[&key]).await;
    for house in both_with(&trusting(&issuer)).await {
        let good = claims(&issuer, "1", "ann");
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        let bad = [
            with("iss", json!("https://elsewhere.example.org")),
            with("iss", json!([issuer.url])),
            with("aud", json!("account")),
            with("aud", Value::Null),
            with("exp", Value::Null),
            with("nbf", json!(start().timestamp() + 1_000)),
            with("sub", json!("")),
            with("sub", json!("nul\0")),
            with("sub", json!("x".repeat(256))),
            with("sub", Value::Null),
        ];
        for claims in &bad {
            let refused = house.verify(&key.sign(claims)).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid, "{claims}");
        }
        let past = with("exp", json!(start().timestamp() - 100));
        let past = house.verify(&key.sign(&past)).await;
        assert_eq!(past.unwrap_err(), Reason::TokenExpired);

        let header = |alg: &str, typ: &str| json!({ "alg": alg, "typ": typ, "kid": "a" });
        let modulus = key.public()["n"].as_str().unwrap().to_owned();
        let secret = EncodingKey::from_secret(modulus.as_bytes());
        let bad = [
            stranger.sign(&good),
            token(&header("HS256", "JWT"), &good, &secret, Algorithm::HS256),
            token(
                &header("RS512", "JWT"),
                &good,
                &key.private,
                Algorithm::RS512,
            ),
            token(
                &header("PS256", "JWT"),
                &good,
                &key.private,
                Algorithm::PS256,
            ),
            token(
                &header("RS256", "logout+jwt"),
                &good,
                &key.private,
                Algorithm::RS256,
            ),
            token(
                &header("none", "JWT"),
                &good,
                &key.private,
                Algorithm::RS256,
            ),
        ];
        for forged in &bad {
            assert_eq!(
                house.verify(forged).await.unwrap_err(),
                Reason::TokenInvalid,
                "{forged}"
            );
        }
        let rfc_9068 = token(
            &header("RS256", "at+jwt"),
            &good,
            &key.private,
            Algorithm::RS256,
        );
        house.verify(&rfc_9068).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_algorithm_and_one_use() {
    let keys = [
        Key::rs256("a"),
        Key::rs256("b"),
        Key::es256("c"),
        Key::es256("d"),
    ];
    let issuer = Issuer::start(&[]).await;
    let mut published: Vec<_> = keys.iter().map(Key::public).collect();
    published[0]["alg"] = json!("RS512");
    published[1]["use"] = json!("enc");
    published[2]["alg"] = json!("of the future");
    published.push(json!({ "kty": "of the future", "kid": "e" }));
    published.push(json!({ "kty": 5 }));
    issuer
        .answer(StatusCode::OK, &json!({ "keys": published }))
        .await;
    for house in both_with(&trusting(&issuer)).await {
        for key in &keys[..3] {
            let refused = house.verify(&key.sign(&claims(&issuer, "1", "ann"))).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid, "{}", key.id);
        }
        house.who(&keys[3].sign(&claims(&issuer, "1", "ann"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_only_key_needs_no_name() {
    let (key, other) = (Key::es256("a"), Key::es256("b"));
    let issuer = Issuer::start(&[&key]).await;
    for house in both_with(&trusting(&issuer)).await {
        issuer.publish(&[&key]).await;
        let header = json!({ "alg": "ES256" });
        let claims = claims(&issuer, "1", "ann");
        let nameless = token(&header, &claims, &key.private, Algorithm::ES256);
        house.who(&nameless).await;
        issuer.publish(&[&key, &other]).await;
        house.clock.advance(TimeDelta::hours(2));
        assert_eq!(
            house.verify(&nameless).await.unwrap_err(),
            Reason::TokenInvalid
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_asked_for_once_in_a_while() {
    let (old, new) = (Key::es256("old"), Key::es256("new"));
    let issuer = Issuer::start(&[]).await;
    for (round, house) in both_with(&trusting(&issuer)).await.into_iter().enumerate() {
        issuer.publish(&[&old]).await;
        let fetched = || issuer.fetched() - round * 2;
        house.who(&old.sign(&claims(&issuer, "1", "ann"))).await;
        issuer.publish(&[&new]).await;
        let rotated = new.sign(&claims(&issuer, "1", "ann"));
        for _ in 0..5 {
            assert_eq!(
                house.verify(&rotated).await.unwrap_err(),
                Reason::TokenInvalid
            );
        }
        assert_eq!(fetched(), 1);
        house.clock.advance(TimeDelta::seconds(30));
        assert_eq!(house.who(&rotated).await.username, "ann");
        assert_eq!(fetched(), 2);
        let withdrawn = house.verify(&old.sign(&claims(&issuer, "1", "ann"))).await;
        assert_eq!(withdrawn.unwrap_err(), Reason::TokenInvalid);
        assert_eq!(fetched(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_key_is_forgotten() {
    let (old, new) = (Key::es256("old"), Key::es256("new"));
    let issuer = Issuer::start(&[]).await;
    for house in both_with(&trusting(&issuer)).await {
        issuer.publish(&[&old]).await;
        let token = old.sign(&claims(&issuer, "1", "ann"));
        house.who(&token).await;
        issuer.publish(&[&new]).await;
        house.clock.advance(TimeDelta::minutes(59));
        house.who(&token).await;
        house.clock.advance(TimeDelta::minutes(2));
        assert_eq!(
            house.verify(&token).await.unwrap_err(),
            Reason::TokenInvalid
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_fails_keeps_its_keys() {
    let key = Key::es256("a");
    let issuer = Issuer::start(&[]).await;
    let bad = [
        (StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
        (StatusCode::OK, "no keys".to_owned()),
        (StatusCode::OK, json!({ "keys": [] }).to_string()),
        (StatusCode::OK, " ".repeat(1024 * 1024)),
    ];
    for house in both_with(&trusting(&issuer)).await {
        issuer.publish(&[&key]).await;
        let token = key.sign(&claims(&issuer, "1", "ann"));
        house.who(&token).await;
        for (status, body) in &bad {
            issuer.answer(*status, body).await;
            let fetched = issuer.fetched();
            house.clock.advance(TimeDelta::hours(2));
            house.who(&token).await;
            assert_eq!(issuer.fetched(), fetched + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_keys_were_ever_fetched_nobody_is_told_to_be_wrong() {
    let key = Key::es256("a");
    let issuer = Issuer::start(&[]).await;
    for house in both_with(&trusting(&issuer)).await {
        issuer.answer(StatusCode::SERVICE_UNAVAILABLE, &"").await;
        let fetched = issuer.fetched();
        let token = key.sign(&claims(&issuer, "1", "ann"));
        for _ in 0..3 {
            assert_eq!(house.verify(&token).await.unwrap_err(), Reason::Overloaded);
        }
        assert_eq!(issuer.fetched(), fetched + 1);
        issuer.publish(&[&key]).await;
        house.clock.advance(TimeDelta::seconds(30));
        house.who(&token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_other_kinds_are_still_good_beside_an_issuer() {
    let key = Key::es256("a");
    let issuer = Issuer::start(&[&key]).await;
    let mut settings = trusting(&issuer);
    settings.tokens.shared_secret = "a secret of more than thirty-two bytes".into();
    for house in both_with(&settings).await {
        let user = house.user("ann", 0).await;
        let request = confab_rpc::sessions::IssueTokenRequest {
            user_id: user.id.clone(),
            lifetime_seconds: 0,
        };
        let own = house.sessions.clone().issue_token(request).await.unwrap();
        assert_eq!(house.who(&own.into_inner().token).await, user);
        let secret = EncodingKey::from_secret(b"a secret of more than thirty-two bytes");
        let claims = json!({
            "user_id": user.id,
            "token_type": "access",
            "exp": start().timestamp() + 60,
        });
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let shared = token(&header, &claims, &secret, Algorithm::HS256);
        assert_eq!(house.who(&shared).await, user);
    }
}
