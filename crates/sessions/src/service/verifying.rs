//! Who a token, a ticket or an API key belongs to.

use chrono::{DateTime, Utc};
use confab_rpc::sessions as wire;
use confab_rpc::time;
use tonic::Status;
use uuid::Uuid;

use super::Service;
use crate::api_key::ApiKey;
use crate::error::Error;
use crate::opaque::{self, Use};
use crate::sign_in::Session;
use crate::tokens::Bearer;
use crate::user::User;

/// Who proved what, before the user is looked up.
struct Proof {
    user: Option<User>,
    session: Option<Session>,
    api_key: Option<ApiKey>,
    /// `None`: never.
    expires_at: Option<DateTime<Utc>>,
    connection_ends_at: DateTime<Utc>,
}

impl Service {
    pub(super) async fn verify(&self, token: &str) -> Result<wire::VerifiedToken, Status> {
        let proof = if Use::Ticket.is_of(token) {
            self.use_ticket(token).await?
        } else if Use::ApiKey.is_of(token) {
            self.read_key(token).await?
        } else {
            self.read_token(token).await?
        };
        let ends_at = proof
            .session
            .map_or(proof.connection_ends_at, |session| session.expires_at);
        let left = (ends_at - self.clock.now()).num_seconds().max(0);
        Ok(wire::VerifiedToken {
            user: Some(proof.user.ok_or(Error::TokenInvalid)?.into()),
            expires_at: proof.expires_at.map(time::to_wire),
            session_id: proof
                .session
                .map(|session| session.id.to_string())
                .unwrap_or_default(),
            connection_seconds: u32::try_from(left).unwrap_or(u32::MAX),
            api_key: proof.api_key.map(wire::ApiKey::from),
        })
    }

    async fn read_token(&self, token: &str) -> Result<Proof, Status> {
        let verified = self.tokens.verify(token).await?;
        let (user, session) = match verified.bearer {
            Bearer::User(id) => (self.store.user(id).await?, None),
            Bearer::Session(id, session) => {
                let found = self.bearers.find(id, session).await?;
                let (user, session) = found.ok_or(Error::TokenInvalid)?;
                (Some(user), Some(session))
            }
            Bearer::Outside(identity) => {
                let now = self.clock.now();
                (self.store.user_of(&identity, now).await?, None)
            }
        };
        Ok(Proof {
            user,
            session,
            api_key: None,
            expires_at: Some(verified.expires_at),
            connection_ends_at: verified.expires_at,
        })
    }

    async fn read_key(&self, secret: &str) -> Result<Proof, Error> {
        let found = self.store.api_key_hashed(opaque::hash(secret)).await?;
        let now = self.clock.now();
        let (key, user) = found.ok_or(Error::TokenInvalid)?;
        let key = key.good(now)?;
        Ok(Proof {
            user: Some(user),
            session: None,
            expires_at: key.expires_at,
            connection_ends_at: key.connection_ends_at(now),
            api_key: Some(key),
        })
    }

    async fn use_ticket(&self, ticket: &str) -> Result<Proof, Error> {
        let used = self.store.use_ticket(opaque::hash(ticket)).await?;
        let ticket = used.ok_or(Error::TokenInvalid)?;
        if ticket.expires_at <= self.clock.now() {
            return Err(Error::TokenExpired);
        }
        let session = match ticket.session_id {
            Some(session) => Some(self.session(session, ticket.user_id).await?),
            None => None,
        };
        Ok(Proof {
            user: self.store.user(ticket.user_id).await?,
            session,
            api_key: None,
            expires_at: Some(ticket.expires_at),
            connection_ends_at: ticket.connection_ends_at,
        })
    }

    /// A user's session, if it goes on.
    pub(super) async fn session(&self, id: Uuid, user_id: Uuid) -> Result<Session, Error> {
        let session = self.store.session(id, self.clock.now()).await?;
        session
            .filter(|session| session.user_id == user_id)
            .ok_or(Error::TokenInvalid)
    }
}
