//! API keys of the caller's: made, listed, revoked. A key cannot do any of it.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, SecondsFormat, Utc};
use confab_rpc::sessions::{
    ApiKey, CreateApiKeyRequest, CreatedApiKey, ListApiKeysRequest, RevokeApiKeyRequest,
};
use confab_rpc::time;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{Failed, Refused};
use super::handlers::{Reply, caller_id, check_origin, parse, read};
use crate::Gateway;

/// A key that is wanted. A limit whose name is misspelt would not limit, so nothing else may be said.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NewKey {
    /// What the caller calls it, at most 255 bytes.
    name: String,
    /// Of `models`, `chat`, `embeddings` and `conversations`; empty: all of them.
    scopes: Vec<String>,
    /// Ids of the caller's models that it may ask; empty: all that the caller may, also later.
    models: Vec<i32>,
    /// The most it may ever cost; `null`: what the caller has.
    #[schema(minimum = 0)]
    budget_microdollars: Option<i64>,
    /// How long it is good for; `null` or 0: until it is revoked.
    lifetime_seconds: Option<u32>,
}

/// A key and its secret, which is told this once.
#[derive(Serialize, ToSchema)]
pub(super) struct NamedSecret {
    key: Key,
    /// What a program sends as `Authorization: Bearer`.
    secret: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    /// The newest first; at most 1000.
    keys: Vec<Key>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    key: Key,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Key {
    id: String,
    name: String,
    /// The last four characters of the secret.
    hint: String,
    scopes: Vec<String>,
    /// Empty: all that the caller may ask.
    models: Vec<i32>,
    budget_microdollars: Option<i64>,
    spent_microdollars: i64,
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// `null`: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// `null` while it is good.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
}

/// Makes an API key.
#[utoipa::path(
    post,
    path = "/auth/keys",
    operation_id = "make_key",
    request_body = NewKey,
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 201, body = NamedSecret, description = "made; the secret is never told again"),
        (status = 400, body = Failed, description = "the body is not what this takes"),
        (status = 401, body = Failed, description = "no credential, one that is not good, or an API key"),
        (status = 403, body = Failed, description = "a model that the caller may not ask, or a page that may not connect"),
        (status = 413, body = Failed, description = "longer than 16 KiB"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn make(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let user_id = caller_id(&request, &gateway).await?;
    let body: NewKey = parse(&read(payload).await?)?;
    let wanted = CreateApiKeyRequest {
        user_id,
        name: body.name,
        scopes: body.scopes,
        models: body.models,
        budget_microdollars: body.budget_microdollars,
        lifetime_seconds: body.lifetime_seconds.unwrap_or(0),
    };
    let made = gateway.backends.sessions().create_api_key(wanted).await?;
    let made = NamedSecret::try_from(made.into_inner())?;
    Ok(HttpResponse::Created().json(made))
}

/// Lists the caller's API keys, revoked ones too.
#[utoipa::path(
    get,
    path = "/auth/keys",
    operation_id = "keys",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = Keys, description = "the caller's keys"),
        (status = 401, body = Failed, description = "no credential, one that is not good, or an API key"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn list(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    let user_id = caller_id(&request, &gateway).await?;
    let wanted = ListApiKeysRequest { user_id };
    let keys = gateway.backends.sessions().list_api_keys(wanted).await?;
    let keys = keys.into_inner().keys;
    Ok(HttpResponse::Ok().json(Keys {
        keys: keys.into_iter().map(Key::from).collect(),
    }))
}

/// Makes an API key useless, at once and for good.
#[utoipa::path(
    delete,
    path = "/auth/keys/{id}",
    operation_id = "revoke_key",
    params(("id" = String, Path, description = "The key's id")),
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = Revoked, description = "revoked, now or before"),
        (status = 401, body = Failed, description = "no credential, one that is not good, or an API key"),
        (status = 403, body = Failed, description = "a page that may not connect"),
        (status = 404, body = Failed, description = "the caller has no such key"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn revoke(
    request: HttpRequest,
    id: web::Path<String>,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let wanted = RevokeApiKeyRequest {
        user_id: caller_id(&request, &gateway).await?,
        key_id: id.into_inner(),
    };
    let key = gateway.backends.sessions().revoke_api_key(wanted).await?;
    gateway.known.forget();
    let key = key.into_inner().into();
    Ok(HttpResponse::Ok().json(Revoked { key }))
}

impl TryFrom<CreatedApiKey> for NamedSecret {
    type Error = Refused;

    fn try_from(made: CreatedApiKey) -> Result<Self, Refused> {
        Ok(Self {
            key: made.key.ok_or(Refused::INTERNAL)?.into(),
            secret: made.secret,
        })
    }
}

impl From<ApiKey> for Key {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: key.hint,
            scopes: key.scopes,
            models: key.models,
            budget_microdollars: key.budget_microdollars,
            spent_microdollars: key.spent_microdollars,
            created_at: date(key.created_at),
            expires_at: date(key.expires_at),
            revoked_at: date(key.revoked_at),
        }
    }
}

/// A point in time as RFC 3339 writes it.
fn date(at: Option<Timestamp>) -> Option<String> {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    at.and_then(time::from_wire).map(text)
}
