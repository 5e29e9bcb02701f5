//! Confab in a test, in every shape it can be deployed in.

use std::net::SocketAddr;
use std::sync::Arc;

use confab::{Role, Roles, Running, Settings};
use confab_database::scratch;
use confab_rpc::Lane;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::{
    Account, CreateUserRequest, GetAccountRequest, LedgerEntry, ListLedgerRequest,
};
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_runtime::SystemClock;
use confab_runtime::settings::Layers;
use tempfile::TempDir;
use uuid::Uuid;

use crate::eventually;

/// How Confab is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One process on SQLite: what `cargo run` gives.
    Sqlite,
    /// One process on PostgreSQL.
    Postgres,
    /// Every role on its own, over TCP, on PostgreSQL, with two gateways.
    Split,
}

impl Shape {
    /// Every shape; a scenario holds in all of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Split];
}

/// A Confab of a test's own.
pub struct System {
    shape: Shape,
    overrides: Vec<(String, String)>,
    processes: Vec<Running>,
    _folder: TempDir,
}

/// The roles whose rows lie in a database.
const WITH_DATABASE: [&str; 4] = ["sessions", "threads", "attachments", "completions"];

impl System {
    /// Starts one with the default settings, on ports and tables of its own.
    pub async fn start(shape: Shape) -> Self {
        Self::start_with(shape, &[]).await
    }

    /// Starts one with some settings of the test's choice, by dotted key.
    pub async fn start_with(shape: Shape, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the system");
        let mut overrides = vec![
            ("gateway.listen".to_owned(), "127.0.0.1:0".to_owned()),
            (
                "completions.agent_context.listen".to_owned(),
                "127.0.0.1:0".to_owned(),
            ),
            (
                "attachments.directory".to_owned(),
                folder.path().join("attachments").display().to_string(),
            ),
            ("shutdown.grace_seconds".to_owned(), "5".to_owned()),
        ];
        for role in WITH_DATABASE {
            let url = match shape {
                Shape::Sqlite => {
                    let file = folder.path().join(format!("{role}.db"));
                    format!("sqlite:{}", file.display())
                }
                Shape::Postgres | Shape::Split => scratch::postgres_url().await,
            };
            overrides.push((format!("{role}.database.url"), url));
            overrides.push((format!("{role}.database.max_connections"), "4".to_owned()));
            overrides.push((
                format!("{role}.database.acquire_timeout_ms"),
                "10000".to_owned(),
            ));
            overrides.push((format!("lanes.{role}.listen"), "127.0.0.1:0".to_owned()));
        }
        let chosen = settings.iter();
        overrides.extend(chosen.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let mut system = Self {
            shape,
            overrides,
            processes: Vec::new(),
            _folder: folder,
        };
        system.run().await;
        system
    }

    /// Ends it and starts it again on the same tables and files.
    pub async fn restart(&mut self) {
        self.end().await;
        self.run().await;
    }

    /// Ends it in order.
    pub async fn stop(mut self) {
        self.end().await;
    }

    /// Where the first gateway listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// Where the gateways listen: two of them when split.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let processes = self.processes.iter();
        processes
            .flat_map(|process| process.gateway.clone())
            .collect()
    }

    /// A URL of the first gateway.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The lane to a role.
    #[must_use]
    pub fn lane(&self, role: Role) -> Lane {
        self.processes
            .iter()
            .find_map(|process| process.lane(role).ok())
            .expect("some process reaches the role")
    }

    /// A client of the sessions role.
    #[must_use]
    pub fn sessions(&self) -> SessionsClient<Lane> {
        SessionsClient::new(self.lane(Role::Sessions))
    }

    /// A client of the threads role.
    #[must_use]
    pub fn threads(&self) -> ThreadsClient<Lane> {
        ThreadsClient::new(self.lane(Role::Threads))
    }

    /// Makes a user, as `confab user add` does, and gives its id.
    pub async fn add_user(&self, username: &str, models: &[i32], microdollars: i64) -> Uuid {
        let request = CreateUserRequest {
            username: username.to_owned(),
            models: models.to_vec(),
            deposit_microdollars: microdollars,
            ..Default::default()
        };
        let user = self.sessions().create_user(request).await;
        let id = user.expect("the user is made").into_inner().id;
        id.parse().expect("the id is a UUID")
    }

    /// What a user has, after checking that it is the sum of the ledger.
    pub async fn account(&self, user: Uuid) -> Account {
        // Something may be booked while the two are read.
        eventually("the account is at rest", async || {
            let before = self.account_now(user).await;
            let ledger = self.ledger(user).await;
            let balance = self.account_now(user).await.balance_microdollars;
            if balance != before.balance_microdollars {
                return None;
            }
            let sum: i64 = ledger.iter().map(|entry| entry.amount_microdollars).sum();
            assert_eq!(balance, sum, "the balance is the sum of the ledger");
            Some(before)
        })
        .await
    }

    async fn account_now(&self, user: Uuid) -> Account {
        let request = GetAccountRequest {
            user_id: user.to_string(),
        };
        let account = self.sessions().get_account(request).await;
        account.expect("the account is there").into_inner()
    }

    /// The first thousand entries of a user's ledger.
    pub async fn ledger(&self, user: Uuid) -> Vec<LedgerEntry> {
        let request = ListLedgerRequest {
            user_id: user.to_string(),
            after_id: 0,
            limit: 1000,
        };
        let reply = self.sessions().list_ledger(request).await;
        reply.expect("the ledger is there").into_inner().entries
    }

    async fn run(&mut self) {
        if self.shape != Shape::Split {
            let process = start(self.settings(&[]), Roles::all()).await;
            self.processes.push(process);
            return;
        }
        confab::migrate(&self.settings(&[]))
            .await
            .expect("the tables are made");
        let mut urls = Vec::new();
        for role in Role::ALL {
            let copies = if role == Role::Gateway { 2 } else { 1 };
            for _ in 0..copies {
                let process = start(self.settings(&urls), Roles::of(&[role])).await;
                for (role, address) in &process.lanes {
                    urls.push((format!("lanes.{role}.url"), format!("http://{address}")));
                }
                self.processes.push(process);
            }
        }
    }

    async fn end(&mut self) {
        // The last ones started are the ones that nobody calls.
        while let Some(process) = self.processes.pop() {
            process.stop().await;
        }
    }

    fn settings(&self, more: &[(String, String)]) -> Settings {
        let mut aliases = self.overrides.clone();
        aliases.extend_from_slice(more);
        let merged = Layers {
            defaults: confab::settings::DEFAULTS,
            aliases,
            ..Default::default()
        }
        .merge();
        let settings = merged.map(|merged| Settings::from_merged(&merged));
        settings
            .expect("the settings merge")
            .expect("the settings are valid")
    }
}

async fn start(settings: Settings, roles: Roles) -> Running {
    confab::serve::start(settings, roles, Arc::new(SystemClock))
        .await
        .expect("the process starts")
}
