//! Confab's own tokens, and those signed with a shared secret.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::sessions::{GetKeySetRequest, IssueTokenRequest, IssuedToken, User};
use confab_sessions::Settings;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tonic::Status;
use uuid::Uuid;

use crate::house::{Client, House, both, both_with, open, refusal, settings, start};
use crate::issuer::token;

const SECRET: &str = "thirty-two bytes that nobody knows";

async fn issue(house: &House, user: &User, lifetime: u32) -> Result<IssuedToken, Status> {
    let request = IssueTokenRequest {
        user_id: user.id.clone(),
        lifetime_seconds: lifetime,
    };
    let issued = house.sessions.clone().issue_token(request).await?;
    Ok(issued.into_inner())
}

async fn key_set(sessions: &Client) -> Value {
    let set = sessions.clone().get_key_set(GetKeySetRequest {}).await;
    serde_json::from_str(&set.unwrap().into_inner().json).unwrap()
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The key that signs, as a thief of the database would have it, and its id.
async fn stolen_key(house: &House) -> (EncodingKey, String) {
    let database = &house.scratch.database;
    let sql = "SELECT id, private_pem FROM signing_key";
    let query = Statement::from_string(database.backend(), sql);
    let row = database.read().query_one_raw(query).await.unwrap().unwrap();
    let pem: String = row.try_get("", "private_pem").unwrap();
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    (key, row.try_get("", "id").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_whose_it_is() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let issued = issue(&house, &user, 0).await.unwrap();
        let expires = issued.expires_at.unwrap();
        assert_eq!(expires.seconds, start().timestamp() + 3_600);
        let verified = house.verify(&issued.token).await.unwrap();
        assert_eq!(verified.user.unwrap(), user);
        assert_eq!(verified.expires_at.unwrap(), expires);

        let header = part(&issued.token, 0);
        assert_eq!(header["alg"], "EdDSA");
        assert_eq!(header["typ"], "at+jwt");
        let claims = part(&issued.token, 1);
        assert_eq!(claims["iss"], "confab");
        assert_eq!(claims["aud"], "confab");
        assert_eq!(claims["sub"], user.id);
        assert_eq!(claims["iat"], start().timestamp());
        assert_eq!(claims["exp"], expires.seconds);
        assert_eq!(claims["token_type"], "access");
        let again = issue(&house, &user, 0).await.unwrap().token;
        assert_ne!(part(&again, 1)["jti"], claims["jti"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_no_token() {
    for house in both().await {
        for id in [Uuid::new_v4().to_string(), "ann".to_owned()] {
            let nobody = User {
                id,
                ..Default::default()
            };
            let issued = issue(&house, &nobody, 0).await;
            assert_eq!(refusal(issued), Reason::UserNotFound);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let token = issue(&house, &user, 60).await.unwrap().token;
        house.clock.advance(TimeDelta::seconds(59));
        house.verify(&token).await.unwrap();
        house.clock.advance(TimeDelta::seconds(61));
        assert_eq!(
            house.verify(&token).await.unwrap_err(),
            Reason::TokenExpired
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_keys_verify_and_hold_no_secret() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let token = issue(&house, &user, 0).await.unwrap().token;
        let set = key_set(&house.sessions).await;
        let key = set["keys"][0].as_object().unwrap();
        let mut members: Vec<_> = key.keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
        assert_eq!(key["kty"], "OKP");
        assert_eq!(key["crv"], "Ed25519");
        assert_eq!(key["use"], "sig");
        assert_eq!(key["alg"], "EdDSA");
        assert_eq!(key["kid"], part(&token, 0)["kid"]);

        let set: JwkSet = serde_json::from_value(set).unwrap();
        let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&["confab"]);
        validation.validate_exp = false;
        decode::<Value>(token, &key, &validation).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_share_one_key() {
    for house in both().await {
        let sql = "DELETE FROM signing_key";
        house
            .scratch
            .database
            .write()
            .execute_unprepared(sql)
            .await
            .unwrap();
        let (settings, clock) = (settings(), &house.clock);
        let open = || open(&house.scratch, &settings, clock);
        let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
        let set = key_set(&a).await;
        assert_eq!(set["keys"].as_array().unwrap().len(), 1);
        for sessions in [b, c, d, open().await] {
            assert_eq!(key_set(&sessions).await, set);
        }
    }
}

/// Claims of a good token for the user.
fn claims(user: &User) -> Value {
    json!({
        "iss": "confab",
        "aud": "confab",
        "sub": user.id,
        "iat": start().timestamp(),
        "exp": start().timestamp() + 60,
        "jti": Uuid::new_v4(),
        "token_type": "access",
    })
}

fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_other_claims_is_no_token() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let (key, kid) = stolen_key(&house).await;
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid });
        let sign = |claims: &Value| token(&header, claims, &key, Algorithm::EdDSA);
        let good = claims(&user);
        house.verify(&sign(&good)).await.unwrap();
        let far = start().timestamp() + 1_000;
        let bad = [
            with(&good, "iss", "somebody"),
            with(&good, "aud", "something"),
            with(&good, "sub", Uuid::new_v4().to_string()),
            with(&good, "sub", "ann"),
            with(&good, "token_type", "refresh"),
            with(&good, "nbf", far),
            with(&good, "exp", "never"),
            with(&good, "exp", 1e300),
            without(&good, "iss"),
            without(&good, "aud"),
            without(&good, "sub"),
            without(&good, "exp"),
            without(&good, "token_type"),
            json!([]),
        ];
        for claims in &bad {
            let refused = house.verify(&sign(claims)).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid, "{claims}");
        }
        let past = with(&good, "exp", start().timestamp() - 100);
        assert_eq!(
            house.verify(&sign(&past)).await.unwrap_err(),
            Reason::TokenExpired
        );
        let twice = good.to_string().replacen('{', "{\"sub\":\"ann\",", 1);
        let twice = token(&header, &twice, &key, Algorithm::EdDSA);
        assert_eq!(
            house.verify(&twice).await.unwrap_err(),
            Reason::TokenInvalid
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_another_header_is_no_token() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let (key, kid) = stolen_key(&house).await;
        let good = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid });
        let bad = [
            with(&good, "alg", "none"),
            with(&good, "alg", "HS256"),
            with(&good, "alg", "ES256"),
            with(&good, "typ", "JWT"),
            with(&good, "typ", "refresh+jwt"),
            without(&good, "typ"),
            with(&good, "kid", "another"),
            with(&good, "kid", "../../etc/passwd"),
            without(&good, "kid"),
            with(&good, "crit", json!(["exp"])),
        ];
        for header in &bad {
            let bad = token(header, &claims(&user), &key, Algorithm::EdDSA);
            let refused = house.verify(&bad).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid, "{header}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_no_token() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let other = house.user("bob", 0).await;
        let real = issue(&house, &user, 0).await.unwrap().token;
        let kid = part(&real, 0)["kid"].clone();
        let set = key_set(&house.sessions).await;
        let public = BASE64_URL_SAFE_NO_PAD
            .decode(set["keys"][0]["x"].as_str().unwrap())
            .unwrap();

        // The public key taken for a secret; a key of one's own, also brought along in the header.
        let confused = token(
            &json!({ "alg": "HS256", "typ": "at+jwt", "kid": kid }),
            &claims(&user),
            &EncodingKey::from_secret(&public),
            Algorithm::HS256,
        );
        let stranger = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
        let pkcs8 = stranger.to_pkcs8v1().unwrap();
        let own_key = EncodingKey::from_ed_der(pkcs8.as_ref());
        let own_jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&own_key, Algorithm::EdDSA);
        let brought = token(
            &json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid, "jwk": own_jwk.unwrap() }),
            &claims(&user),
            &own_key,
            Algorithm::EdDSA,
        );
        let mut parts: Vec<_> = real.split('.').map(str::to_owned).collect();
        let unsigned = format!("{}.{}.", parts[0], parts[1]);
        parts[1] = BASE64_URL_SAFE_NO_PAD.encode(claims(&other).to_string());
        let changed = parts.join(".");
        let oversized = format!("{real}{}", "A".repeat(8 * 1024));
        let bad = [
            confused,
            brought,
            unsigned,
            changed,
            oversized,
            format!("{real}A"),
            format!("{real}.{real}"),
            format!(" {real}"),
            String::new(),
            "..".to_owned(),
            "token".to_owned(),
            "\0".to_owned(),
        ];
        for forged in &bad {
            let refused = house.verify(forged).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid, "{forged}");
        }
        house.verify(&real).await.unwrap();
    }
}

fn trusting() -> Settings {
    let mut settings = settings();
    settings.tokens.shared_secret = SECRET.into();
    settings
}

fn shared_claims(user: &User) -> Value {
    json!({
        "user_id": user.id,
        "token_type": "access",
        "exp": start().timestamp() + 60,
        "jti": "9f1c",
    })
}

fn share(claims: &Value, secret: &str, algorithm: Algorithm) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    token(
        &header,
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
        algorithm,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_who_shares_the_secret_is_good() {
    for house in both_with(&trusting()).await {
        let user = house.user("ann", 0).await;
        let verified = house
            .verify(&share(&shared_claims(&user), SECRET, Algorithm::HS256))
            .await;
        let verified = verified.unwrap();
        assert_eq!(
            verified.expires_at.unwrap().seconds,
            start().timestamp() + 60
        );
        assert_eq!(verified.user.unwrap(), user);
        let own = issue(&house, &user, 0).await.unwrap().token;
        house.verify(&own).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_secret_signs_nothing_else() {
    for house in both_with(&trusting()).await {
        let user = house.user("ann", 0).await;
        let good = shared_claims(&user);
        let bad = [
            with(&good, "token_type", "refresh"),
            with(&good, "user_id", Uuid::new_v4().to_string()),
            with(&good, "user_id", user.number),
            with(&good, "nbf", start().timestamp() + 1_000),
            with(&good, "aud", "another program"),
            without(&good, "token_type"),
            without(&good, "user_id"),
            without(&good, "exp"),
        ];
        for claims in &bad {
            let refused = house.verify(&share(claims, SECRET, Algorithm::HS256)).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid, "{claims}");
        }
        let guessed = share(&good, &SECRET.replace('b', "d"), Algorithm::HS256);
        let other_algorithm = share(&good, SECRET, Algorithm::HS512);
        for token in [guessed, other_algorithm] {
            assert_eq!(
                house.verify(&token).await.unwrap_err(),
                Reason::TokenInvalid
            );
        }
        let past = with(&good, "exp", start().timestamp() - 100);
        let past = house.verify(&share(&past, SECRET, Algorithm::HS256)).await;
        assert_eq!(past.unwrap_err(), Reason::TokenExpired);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_shared_secret_none_is_trusted() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        for secret in ["", SECRET] {
            let token = share(&shared_claims(&user), secret, Algorithm::HS256);
            assert_eq!(
                house.verify(&token).await.unwrap_err(),
                Reason::TokenInvalid
            );
        }
    }
}
