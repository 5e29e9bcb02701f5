//! Registering, signing in and out, staying signed in.

use chrono::TimeDelta;
use confab_rpc::sessions::{self as wire, sign_in_request, sign_out_request};
use confab_rpc::time;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{LARGEST_PAGE, Service, user_id};
use crate::error::Error;
use crate::opaque::{self, Use};
use crate::password::Password;
use crate::profile::{self, Changes, Email};
use crate::sign_in::{Session, UsedTicket};
use crate::store::{Candidate, NewUser, Revocation};
use crate::throttle::Attempt;
use crate::user::{User, Username, model_set};

/// How long a ticket is good for.
const TICKET: TimeDelta = TimeDelta::seconds(30);

impl Service {
    pub(super) async fn make_known(&self, request: wire::RegisterRequest) -> Result<User, Error> {
        if !self.registration.open {
            return Err(Error::RegistrationClosed);
        }
        if request.deposit_microdollars < 0 {
            return Err(Error::Invalid("deposit_microdollars must not be negative"));
        }
        let granted = &self.registration;
        let username = Username::parse(&request.username)?;
        let email = Email::parse(&request.email)?;
        let password = Password::choose(
            request.password,
            username.as_str(),
            email.as_ref().map(Email::as_str),
        )?;
        let changes = Changes {
            email: Some(email),
            fullname: Some(profile::fullname(&request.fullname)?),
            phone_number: Some(profile::phone_number(&request.phone_number)?),
            ..Default::default()
        };
        let new = NewUser {
            id: Uuid::now_v7(),
            username,
            models: model_set([&granted.models[..], &request.models].concat())?,
            deposit: granted
                .deposit_microdollars
                .saturating_add(request.deposit_microdollars),
            created_at: self.clock.now(),
        };
        let hash = self.passwords.hash(password).await?;
        self.store.register(new, changes, hash).await
    }

    pub(super) async fn begin(
        &self,
        request: wire::SignInRequest,
    ) -> Result<wire::SignedIn, Error> {
        let by = request
            .by
            .ok_or(Error::Invalid("a username or an e-mail address is needed"))?;
        let password = SecretString::from(request.password);
        let candidate = self.candidate(&by).await?;
        let account = match &candidate {
            Some(candidate) => candidate.user_id.to_string(),
            None => format!("nobody {by:?}"),
        };
        let attempt = Attempt::new(&account, &request.client_address);
        self.store.begin_attempt(&attempt, self.clock.now()).await?;

        let (user_id, kept) = match candidate {
            Some(candidate) => (candidate.user_id, candidate.password_hash),
            None => (Uuid::nil(), None),
        };
        if !self.passwords.is_right(password, kept).await? {
            return Err(Error::CredentialsWrong);
        }
        let now = self.clock.now();
        self.store.forgive(&attempt, now).await?;
        let session = Session {
            id: Uuid::now_v7(),
            user_id,
            expires_at: now + TimeDelta::seconds(self.sign_in.session_seconds.into()),
        };
        let refresh = Use::Refresh.generate()?;
        let hash = opaque::hash(refresh.expose_secret());
        self.store.begin_session(session, hash, now).await?;
        self.signed_in(&session, &refresh).await
    }

    async fn candidate(&self, by: &sign_in_request::By) -> Result<Option<Candidate>, Error> {
        // What cannot be a name or an address is nobody's.
        match by {
            sign_in_request::By::Username(name) => match Username::parse(name) {
                Ok(name) => self.store.candidate_named(&name).await,
                Err(_) => Ok(None),
            },
            sign_in_request::By::Email(email) => match Email::parse(email) {
                Ok(Some(email)) => self.store.candidate_at(&email).await,
                _ => Ok(None),
            },
        }
    }

    pub(super) async fn go_on(&self, presented: &str) -> Result<wire::SignedIn, Error> {
        let next = Use::Refresh.generate()?;
        let hash = opaque::hash(next.expose_secret());
        let now = self.clock.now();
        let rotated = self.store.rotate(opaque::hash(presented), hash, now);
        self.signed_in(&rotated.await?, &next).await
    }

    async fn signed_in(
        &self,
        session: &Session,
        refresh: &SecretString,
    ) -> Result<wire::SignedIn, Error> {
        let user = self.store.user(session.user_id).await?;
        let access = self
            .tokens
            .issue_for(session, self.sign_in.access_seconds)?;
        Ok(wire::SignedIn {
            user: Some(user.ok_or(Error::UserNotFound)?.into()),
            access: access.token,
            access_expires_at: Some(time::to_wire(access.expires_at)),
            refresh: refresh.expose_secret().to_owned(),
        })
    }

    pub(super) async fn end(&self, request: wire::SignOutRequest) -> Result<(), Error> {
        let session = match request.by {
            Some(sign_out_request::By::Refresh(refresh)) => {
                self.store.session_of(opaque::hash(&refresh)).await?
            }
            Some(sign_out_request::By::SessionId(id)) => Uuid::try_parse(&id).ok(),
            None => None,
        };
        match session {
            Some(session) => self.store.end_session(session, self.clock.now()).await,
            None => Ok(()),
        }
    }

    pub(super) async fn ticket(
        &self,
        request: wire::IssueTicketRequest,
    ) -> Result<wire::Ticket, Error> {
        const NO_SESSION: Error = Error::Invalid("the user has no such session");
        let user = self.store.user(user_id(&request.user_id)?).await?;
        let user = user.ok_or(Error::UserNotFound)?;
        let session = if request.session_id.is_empty() {
            None
        } else {
            let id = Uuid::try_parse(&request.session_id).map_err(|_| NO_SESSION)?;
            match self.session(id, user.id).await {
                Err(Error::TokenInvalid) => return Err(NO_SESSION),
                session => Some(session?),
            }
        };
        let now = self.clock.now();
        let stays = TimeDelta::seconds(request.connection_seconds.into());
        let kept = UsedTicket {
            user_id: user.id,
            session_id: session.map(|session| session.id),
            expires_at: now + TICKET,
            connection_ends_at: now + stays,
        };
        let ticket = Use::Ticket.generate()?;
        let hash = opaque::hash(ticket.expose_secret());
        self.store.keep_ticket(hash, kept).await?;
        Ok(wire::Ticket {
            ticket: ticket.expose_secret().to_owned(),
            expires_at: Some(time::to_wire(kept.expires_at)),
        })
    }

    pub(super) async fn revocations(
        &self,
        after_id: i64,
    ) -> Result<wire::ListRevocationsResponse, Error> {
        if after_id <= 0 {
            return Ok(wire::ListRevocationsResponse {
                revocations: Vec::new(),
                last_id: self.store.last_revocation().await?,
            });
        }
        let found = self
            .store
            .revocations_after(after_id, LARGEST_PAGE.into())
            .await?;
        Ok(wire::ListRevocationsResponse {
            last_id: found.last().map_or(after_id, |last| last.id),
            revocations: found.into_iter().map(wire::Revocation::from).collect(),
        })
    }
}

impl From<Revocation> for wire::Revocation {
    fn from(revocation: Revocation) -> Self {
        Self {
            id: revocation.id,
            session_id: revocation.session_id.to_string(),
            user_id: revocation.user_id.to_string(),
        }
    }
}
