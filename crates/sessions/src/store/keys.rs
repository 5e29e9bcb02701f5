//! The keys that sign Confab's own tokens.

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, EntityTrait, QueryOrder, Set};
use secrecy::{ExposeSecret, SecretString};

use super::Store;
use super::entity::signing_key::{self, PrivatePem};
use crate::tokens::PrivateKey;

const FIRST_GENERATION: i32 = 1;

impl Store {
    /// All keys, the newest last.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<PrivateKey>, DbErr> {
        let keys = signing_key::Entity::find()
            .order_by_asc(signing_key::Column::Generation)
            .all(self.database.read())
            .await?;
        Ok(keys.into_iter().map(PrivateKey::from).collect())
    }

    /// Keeps a key as the first one, unless another process was faster.
    pub(crate) async fn offer_first_key(
        &self,
        key: &PrivateKey,
        now: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        let row = signing_key::ActiveModel {
            id: Set(key.id.clone()),
            generation: Set(FIRST_GENERATION),
            private_pem: Set(PrivatePem(key.pem.expose_secret().to_owned())),
            created_at: Set(now),
        };
        signing_key::Entity::insert(row)
            .on_conflict_do_nothing_on([signing_key::Column::Generation])
            .exec_without_returning(self.database.write())
            .await?;
        Ok(())
    }
}

impl From<signing_key::Model> for PrivateKey {
    fn from(row: signing_key::Model) -> Self {
        Self {
            id: row.id,
            pem: SecretString::from(row.private_pem.0),
        }
    }
}
