//! A sessions service of a test's own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use confab_database::scratch::{self, Scratch};
use confab_migrations::sessions::Migrator;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::sessions_server::SessionsServer;
use confab_rpc::sessions::{
    Account, CreateUserRequest, GetAccountRequest, LedgerEntry, ListLedgerRequest, User,
    VerifiedToken, VerifyTokenRequest,
};
use confab_rpc::{Fault, Lane, Reason};
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, Tasks};
use confab_sessions::{
    OidcSettings, RegistrationSettings, Service, Settings, SignInSettings, TokenSettings,
};
use tonic::{Response, Status};

pub(crate) type Client = SessionsClient<Lane>;

/// The service, its database and its clock.
pub(crate) struct House {
    pub(crate) sessions: Client,
    pub(crate) clock: ManualClock,
    pub(crate) scratch: Scratch,
}

/// One on SQLite and one on PostgreSQL.
pub(crate) async fn both() -> Vec<House> {
    both_with(&settings()).await
}

pub(crate) async fn both_with(settings: &Settings) -> Vec<House> {
    let mut houses = Vec::new();
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let clock = ManualClock::at(start());
        let sessions = open(&scratch, settings, &clock).await;
        houses.push(House {
            sessions,
            clock,
            scratch,
        });
    }
    houses
}

/// Another process on the same database.
pub(crate) async fn open(scratch: &Scratch, settings: &Settings, clock: &ManualClock) -> Client {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let service = Service::open(scratch.database.clone(), settings, clock, Tasks::new())
        .await
        .unwrap();
    let lane = Lane::local(SessionsServer::new(service), Duration::from_secs(30));
    SessionsClient::new(lane)
}

/// When the tests happen.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        database: scratch::settings("sqlite:unused"),
        tokens: TokenSettings {
            issuer: "confab".to_owned(),
            audience: "confab".to_owned(),
            lifetime_seconds: 3_600,
            shared_secret: String::new().into(),
        },
        oidc: OidcSettings {
            issuer: String::new(),
            audience: String::new(),
            jwks_url: String::new(),
        },
        sign_in: SignInSettings {
            access_seconds: 600,
            session_seconds: 2_592_000,
        },
        registration: RegistrationSettings {
            open: true,
            models: vec![4, 8],
            deposit_microdollars: 5,
        },
    }
}

impl House {
    /// A user with model 4 and some money.
    pub(crate) async fn user(&self, name: &str, deposit: i64) -> User {
        let request = CreateUserRequest {
            username: name.to_owned(),
            models: vec![4],
            deposit_microdollars: deposit,
            ..Default::default()
        };
        let user = self.sessions.clone().create_user(request).await;
        user.unwrap().into_inner()
    }

    pub(crate) async fn account(&self, user: &User) -> Account {
        let user_id = user.id.clone();
        let account = self
            .sessions
            .clone()
            .get_account(GetAccountRequest { user_id })
            .await;
        account.unwrap().into_inner()
    }

    pub(crate) async fn ledger(&self, user: &User) -> Vec<LedgerEntry> {
        let request = ListLedgerRequest {
            user_id: user.id.clone(),
            limit: 1_000,
            ..Default::default()
        };
        let ledger = self.sessions.clone().list_ledger(request).await;
        ledger.unwrap().into_inner().entries
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<VerifiedToken, Reason> {
        let token = token.to_owned();
        let verified = self
            .sessions
            .clone()
            .verify_token(VerifyTokenRequest { token })
            .await;
        verified
            .map(Response::into_inner)
            .map_err(|status| reason(&status))
    }
}

/// Why a call was refused.
pub(crate) fn reason(status: &Status) -> Reason {
    Fault::from(status).reason
}

/// Why a call that must fail was refused.
pub(crate) fn refusal<T: std::fmt::Debug>(reply: Result<T, Status>) -> Reason {
    reason(&reply.unwrap_err())
}
