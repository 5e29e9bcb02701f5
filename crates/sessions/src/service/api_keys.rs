//! Making, listing and ending API keys.

use chrono::TimeDelta;
use confab_rpc::sessions as wire;
use confab_rpc::time;
use uuid::Uuid;

use super::{Service, not_negative, user_id};
use crate::account::Budget;
use crate::api_key::{self, ApiKey, Scope, Secret};
use crate::error::Error;
use crate::user::model_set;

impl Service {
    pub(super) async fn make_key(
        &self,
        request: wire::CreateApiKeyRequest,
    ) -> Result<wire::CreatedApiKey, Error> {
        let secret = Secret::generate()?;
        let now = self.clock.now();
        let lifetime = TimeDelta::seconds(request.lifetime_seconds.into());
        let key = ApiKey {
            id: Uuid::now_v7(),
            user_id: user_id(&request.user_id)?,
            name: api_key::name(&request.name)?,
            hint: secret.hint(),
            scopes: api_key::scopes(&request.scopes)?,
            models: model_set(request.models)?,
            budget: Budget {
                limit: request.budget_microdollars.map(not_negative).transpose()?,
                ..Budget::unlimited()
            },
            created_at: now,
            expires_at: (!lifetime.is_zero()).then(|| now + lifetime),
            revoked_at: None,
        };
        let key = self.store.create_api_key(key, secret.hash()).await?;
        Ok(wire::CreatedApiKey {
            key: Some(key.into()),
            secret: secret.tell(),
        })
    }

    pub(super) async fn end_key(
        &self,
        request: wire::RevokeApiKeyRequest,
    ) -> Result<wire::ApiKey, Error> {
        let user = key_id(&request.user_id)?;
        let key = key_id(&request.key_id)?;
        let revoked = self
            .store
            .revoke_api_key(user, key, self.clock.now())
            .await?;
        Ok(revoked.into())
    }
}

/// A malformed id is no key's, and a user who is none has none.
pub(super) fn key_id(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::ApiKeyNotFound)
}

impl From<ApiKey> for wire::ApiKey {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            user_id: key.user_id.to_string(),
            name: key.name,
            hint: key.hint,
            scopes: key.scopes.into_iter().map(scope_name).collect(),
            models: key.models,
            budget_microdollars: key.budget.limit,
            spent_microdollars: key.budget.spent,
            created_at: Some(time::to_wire(key.created_at)),
            expires_at: key.expires_at.map(time::to_wire),
            revoked_at: key.revoked_at.map(time::to_wire),
        }
    }
}

fn scope_name(scope: Scope) -> String {
    scope.name().to_owned()
}
