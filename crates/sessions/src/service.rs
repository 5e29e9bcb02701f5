//! The contract of `confab.sessions.v1`: each call decoded, decided and answered.

mod api_keys;
mod profiles;
mod signing_in;
mod verifying;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use confab_database::Database;
use confab_rpc::sessions::sessions_server::Sessions;
use confab_rpc::sessions::{self as wire, get_user_request::By};
use confab_rpc::time;
use confab_runtime::{Clock, Tasks};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::account::{Account, Wish};
use crate::bearers::Bearers;
use crate::books::Books;
use crate::error::{Error, OpenError};
use crate::password::Passwords;
use crate::settings::{RegistrationSettings, Settings, SignInSettings};
use crate::store::{Kind, LedgerEntry, NewReservation, NewUser, Store};
use crate::tokens::{PrivateKey, Tokens};
use crate::user::{User, Username, model_set};

const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1000;
const KEY_BYTES: usize = 255;

/// How often what has outlived its time is released, and what nobody needs any more is deleted.
const SWEEP: Duration = Duration::from_mins(1);

/// The longest lifetime of a reservation, in seconds.
const LONGEST_LIFETIME: u32 = 3_600;

type Reply<T> = Result<Response<T>, Status>;

/// The sessions service. Cloning is cheap; clones share everything.
#[derive(Clone)]
pub struct Service {
    store: Store,
    bearers: Bearers,
    books: Books,
    tokens: Arc<Tokens>,
    passwords: Passwords,
    sign_in: SignInSettings,
    registration: Arc<RegistrationSettings>,
    clock: Arc<dyn Clock>,
}

impl Service {
    /// Opens the service on a database whose tables are up to date.
    ///
    /// The key that signs tokens is made at the first start; of processes that start at the same time one makes it and
    /// all use it. Until `tasks` is stopping, what nobody needs any more is deleted now and then.
    pub async fn open(
        database: Database,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Result<Self, OpenError> {
        let store = Store::new(database);
        let mut keys = store.signing_keys().await?;
        if keys.is_empty() {
            let key = PrivateKey::generate()?;
            store.offer_first_key(&key, clock.now()).await?;
            keys = store.signing_keys().await?;
        }
        let tokens = Tokens::new(&keys, settings, Arc::clone(&clock))?;
        let service = Self {
            bearers: Bearers::new(store.clone(), Arc::clone(&clock), tasks.clone()),
            books: Books::new(store.clone(), Arc::clone(&clock), tasks.clone()),
            store,
            tokens: Arc::new(tokens),
            passwords: Passwords::new()?,
            sign_in: settings.sign_in.clone(),
            registration: Arc::new(settings.registration.clone()),
            clock,
        };
        tasks.spawn("sweep", service.clone().sweep(tasks.stopping()));
        Ok(service)
    }

    async fn sweep(self, stopping: CancellationToken) {
        let mut ticks = interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.store.release_expired(self.clock.now()).await {
                Ok(0) => {}
                Ok(released) => tracing::warn!(released, "reservations were not settled in time"),
                Err(cause) => {
                    tracing::warn!(%cause, "expired reservations were not released; the next time they are");
                }
            }
            if let Err(cause) = self.store.sweep(self.clock.now()).await {
                tracing::warn!(%cause, "old sign-ins were not deleted; the next time they are");
            }
        }
    }
}

#[tonic::async_trait]
impl Sessions for Service {
    async fn create_user(&self, request: Request<wire::CreateUserRequest>) -> Reply<wire::User> {
        let request = request.into_inner();
        let new = NewUser {
            id: new_id(&request.id)?,
            username: Username::parse(&request.username)?,
            models: model_set(request.models)?,
            deposit: not_negative(request.deposit_microdollars)?,
            created_at: self.clock.now(),
        };
        Ok(Response::new(self.store.create_user(new).await?.into()))
    }

    async fn get_user(&self, request: Request<wire::GetUserRequest>) -> Reply<wire::User> {
        let user = match request.into_inner().by {
            Some(By::Id(id)) => self.store.user(user_id(&id)?).await?,
            Some(By::Number(number)) => self.store.user_numbered(number).await?,
            Some(By::Username(name)) => match Username::parse(&name) {
                Ok(name) => self.store.user_named(&name).await?,
                // Nobody can be called so.
                Err(_) => None,
            },
            None => return Err(Error::Invalid("an id, a number or a username is needed").into()),
        };
        Ok(Response::new(user.ok_or(Error::UserNotFound)?.into()))
    }

    async fn list_users(
        &self,
        request: Request<wire::ListUsersRequest>,
    ) -> Reply<wire::ListUsersResponse> {
        let request = request.into_inner();
        let limit = page(request.limit);
        let users = self.store.users_after(request.after_number, limit).await?;
        Ok(Response::new(wire::ListUsersResponse {
            users: users.into_iter().map(wire::User::from).collect(),
        }))
    }

    async fn grant_models(&self, request: Request<wire::GrantModelsRequest>) -> Reply<wire::User> {
        let request = request.into_inner();
        let models = model_set(request.models)?;
        let user = self
            .store
            .grant_models(user_id(&request.user_id)?, models)
            .await?;
        Ok(Response::new(user.into()))
    }

    async fn deposit(&self, request: Request<wire::DepositRequest>) -> Reply<wire::Account> {
        let request = request.into_inner();
        let id = user_id(&request.user_id)?;
        let key = deposit_key(&request.key)?;
        let account = self
            .store
            .deposit(id, request.amount_microdollars, key, self.clock.now())
            .await?;
        Ok(Response::new(account_of(id, account)))
    }

    async fn get_account(&self, request: Request<wire::GetAccountRequest>) -> Reply<wire::Account> {
        let id = user_id(&request.into_inner().user_id)?;
        let account = self.store.account(id).await?;
        Ok(Response::new(account_of(id, account)))
    }

    async fn list_ledger(
        &self,
        request: Request<wire::ListLedgerRequest>,
    ) -> Reply<wire::ListLedgerResponse> {
        let request = request.into_inner();
        let id = user_id(&request.user_id)?;
        let entries = self
            .store
            .ledger_after(id, request.after_id, page(request.limit))
            .await?;
        Ok(Response::new(wire::ListLedgerResponse {
            entries: entries.into_iter().map(wire::LedgerEntry::from).collect(),
        }))
    }

    async fn reserve(&self, request: Request<wire::ReserveRequest>) -> Reply<wire::Reservation> {
        let request = request.into_inner();
        let user_id = user_id(&request.user_id)?;
        let run_id = Uuid::try_parse(&request.run_id).map_err(|_| MALFORMED_RUN)?;
        let api_key_id = match request.api_key_id.as_str() {
            "" => None,
            id => Some(api_keys::key_id(id)?),
        };
        let wish = Wish::new(
            request.minimum_microdollars,
            request.maximum_microdollars,
            request.open_limit,
        )?
        .in_background(request.background);
        let now = self.clock.now();
        let new = NewReservation {
            run_id,
            user_id,
            model_id: request.model_id,
            api_key_id,
            wish,
            expires_at: lifetime(request.lifetime_seconds)?.map(|lifetime| now + lifetime),
        };
        let amount = self.books.reserve(new).await?;
        Ok(Response::new(wire::Reservation {
            run_id: run_id.to_string(),
            amount_microdollars: amount,
        }))
    }

    async fn settle(&self, request: Request<wire::SettleRequest>) -> Reply<wire::Settlement> {
        let request = request.into_inner();
        let run_id = Uuid::try_parse(&request.run_id).map_err(|_| Error::ReservationNotFound)?;
        let cost = not_negative(request.cost_microdollars)?;
        let settled = self.books.settle(run_id, cost).await?;
        Ok(Response::new(wire::Settlement {
            charged_microdollars: settled.charged,
            account: Some(account_of(settled.user_id, settled.account)),
            available_microdollars: settled.available,
        }))
    }

    async fn issue_token(
        &self,
        request: Request<wire::IssueTokenRequest>,
    ) -> Reply<wire::IssuedToken> {
        let request = request.into_inner();
        let user = self.store.user(user_id(&request.user_id)?).await?;
        let user = user.ok_or(Error::UserNotFound)?;
        let issued = self.tokens.issue(user.id, request.lifetime_seconds)?;
        Ok(Response::new(wire::IssuedToken {
            token: issued.token,
            expires_at: Some(time::to_wire(issued.expires_at)),
        }))
    }

    async fn verify_token(
        &self,
        request: Request<wire::VerifyTokenRequest>,
    ) -> Reply<wire::VerifiedToken> {
        let token = request.into_inner().token;
        Ok(Response::new(self.verify(&token).await?))
    }

    async fn register(&self, request: Request<wire::RegisterRequest>) -> Reply<wire::User> {
        let user = self.make_known(request.into_inner()).await?;
        Ok(Response::new(user.into()))
    }

    async fn sign_in(&self, request: Request<wire::SignInRequest>) -> Reply<wire::SignedIn> {
        Ok(Response::new(self.begin(request.into_inner()).await?))
    }

    async fn refresh(&self, request: Request<wire::RefreshRequest>) -> Reply<wire::SignedIn> {
        let presented = request.into_inner().refresh;
        Ok(Response::new(self.go_on(&presented).await?))
    }

    async fn sign_out(
        &self,
        request: Request<wire::SignOutRequest>,
    ) -> Reply<wire::SignOutResponse> {
        self.end(request.into_inner()).await?;
        Ok(Response::new(wire::SignOutResponse {}))
    }

    async fn issue_ticket(
        &self,
        request: Request<wire::IssueTicketRequest>,
    ) -> Reply<wire::Ticket> {
        Ok(Response::new(self.ticket(request.into_inner()).await?))
    }

    async fn list_revocations(
        &self,
        request: Request<wire::ListRevocationsRequest>,
    ) -> Reply<wire::ListRevocationsResponse> {
        let after_id = request.into_inner().after_id;
        Ok(Response::new(self.revocations(after_id).await?))
    }

    async fn get_profiles(
        &self,
        request: Request<wire::GetProfilesRequest>,
    ) -> Reply<wire::GetProfilesResponse> {
        let profiles = self.profiles(&request.into_inner().user_ids).await?;
        Ok(Response::new(wire::GetProfilesResponse { profiles }))
    }

    async fn update_profile(
        &self,
        request: Request<wire::UpdateProfileRequest>,
    ) -> Reply<wire::Profile> {
        Ok(Response::new(
            self.change_profile(request.into_inner()).await?,
        ))
    }

    async fn get_key_set(&self, _: Request<wire::GetKeySetRequest>) -> Reply<wire::KeySet> {
        Ok(Response::new(wire::KeySet {
            json: self.tokens.key_set().to_owned(),
        }))
    }

    async fn create_api_key(
        &self,
        request: Request<wire::CreateApiKeyRequest>,
    ) -> Reply<wire::CreatedApiKey> {
        Ok(Response::new(self.make_key(request.into_inner()).await?))
    }

    async fn list_api_keys(
        &self,
        request: Request<wire::ListApiKeysRequest>,
    ) -> Reply<wire::ListApiKeysResponse> {
        let id = user_id(&request.into_inner().user_id)?;
        let keys = self.store.api_keys(id).await?;
        Ok(Response::new(wire::ListApiKeysResponse {
            keys: keys.into_iter().map(wire::ApiKey::from).collect(),
        }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<wire::RevokeApiKeyRequest>,
    ) -> Reply<wire::ApiKey> {
        Ok(Response::new(self.end_key(request.into_inner()).await?))
    }
}

const MALFORMED_RUN: Error = Error::Invalid("a run's id must be a UUID");

/// A malformed id is nobody's.
fn user_id(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::UserNotFound)
}

fn new_id(text: &str) -> Result<Uuid, Error> {
    if text.is_empty() {
        return Ok(Uuid::now_v7());
    }
    Uuid::try_parse(text).map_err(|_| Error::Invalid("a user's id must be a UUID"))
}

fn not_negative(microdollars: i64) -> Result<i64, Error> {
    if microdollars < 0 {
        return Err(Error::Invalid("an amount of money must not be negative"));
    }
    Ok(microdollars)
}

/// `None`: without an end.
fn lifetime(seconds: u32) -> Result<Option<TimeDelta>, Error> {
    match seconds {
        0 => Ok(None),
        1..=LONGEST_LIFETIME => Ok(Some(TimeDelta::seconds(seconds.into()))),
        _ => Err(Error::Invalid(
            "a reservation's lifetime must be at most 3600 seconds",
        )),
    }
}

fn deposit_key(key: &str) -> Result<&str, Error> {
    if key.is_empty() || key.len() > KEY_BYTES || key.contains(char::is_control) {
        return Err(Error::Invalid(
            "a deposit's key must be 1 to 255 bytes without control characters",
        ));
    }
    Ok(key)
}

fn page(limit: u32) -> u64 {
    let limit = if limit == 0 { PAGE } else { limit };
    limit.min(LARGEST_PAGE).into()
}

fn account_of(user_id: Uuid, account: Account) -> wire::Account {
    wire::Account {
        user_id: user_id.to_string(),
        balance_microdollars: account.balance,
        reserved_microdollars: account.reserved,
    }
}

impl From<User> for wire::User {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            number: user.number,
            username: user.username,
            models: user.models,
            created_at: Some(time::to_wire(user.created_at)),
        }
    }
}

impl From<LedgerEntry> for wire::LedgerEntry {
    fn from(entry: LedgerEntry) -> Self {
        let kind = match entry.kind {
            Kind::Deposit => wire::EntryKind::Deposit,
            Kind::Charge => wire::EntryKind::Charge,
        };
        Self {
            id: entry.id,
            amount_microdollars: entry.amount_microdollars,
            kind: kind.into(),
            run_id: entry.run_id.map(|id| id.to_string()).unwrap_or_default(),
            booked_at: Some(time::to_wire(entry.booked_at)),
        }
    }
}
