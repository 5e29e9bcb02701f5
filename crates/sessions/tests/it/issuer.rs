//! Keys and tokens as others would make them, and a server that publishes keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use confab_runtime::Tasks;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// Puts a token together without asking whether it makes sense.
pub(crate) fn token(
    header: &Value,
    claims: &impl ToString,
    key: &EncodingKey,
    algorithm: Algorithm,
) -> String {
    let encode = |text: String| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// A key of an issuer.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: &'static str,
    pub(crate) algorithm: Algorithm,
    pub(crate) private: EncodingKey,
}

impl Key {
    pub(crate) fn rs256(id: &'static str) -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'static> = pair.as_der().unwrap();
        let pem = pem::encode(&pem::Pem::new("PRIVATE KEY", pkcs8.as_ref()));
        let private = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
        Self {
            id,
            algorithm: Algorithm::RS256,
            private,
        }
    }

    pub(crate) fn es256(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let private = EncodingKey::from_ec_der(pkcs8.unwrap().as_ref());
        Self {
            id,
            algorithm: Algorithm::ES256,
            private,
        }
    }

    /// As it is published.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.id });
        token(&header, claims, &self.private, self.algorithm)
    }
}

/// What is published, and how often it was asked for.
#[derive(Default)]
struct Published {
    answer: Mutex<(StatusCode, String)>,
    fetched: AtomicUsize,
}

/// An issuer's server.
pub(crate) struct Issuer {
    pub(crate) url: String,
    published: Arc<Published>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let published = Arc::<Published>::default();
        let router = Router::new()
            .route("/.well-known/jwks.json", get(answer))
            .with_state(Arc::clone(&published));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Tasks::new().spawn("issuer", async move {
            axum::serve(listener, router).await.unwrap();
        });
        let issuer = Self { url, published };
        issuer.publish(keys).await;
        issuer
    }

    pub(crate) async fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
        self.answer(StatusCode::OK, &json!({ "keys": keys })).await;
    }

    pub(crate) async fn answer(&self, status: StatusCode, body: &impl ToString) {
        *self.published.answer.lock().await = (status, body.to_string());
    }

    /// How often the keys were asked for.
    pub(crate) fn fetched(&self) -> usize {
        self.published.fetched.load(Ordering::SeqCst)
    }
}

async fn answer(State(published): State<Arc<Published>>) -> (StatusCode, String) {
    published.fetched.fetch_add(1, Ordering::SeqCst);
    published.answer.lock().await.clone()
}
