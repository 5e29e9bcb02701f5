//! Confab in a test, in every shape it can be deployed in.

mod people;
mod process;

use std::net::SocketAddr;
use std::path::PathBuf;

use confab::Role;
use confab_database::scratch;
use confab_rpc::Lane;
use confab_rpc::search::search_client::SearchClient;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::{Account, CreateUserRequest, LedgerEntry};
use confab_rpc::threads::people_client::PeopleClient;
use confab_rpc::threads::threads_client::ThreadsClient;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Auditor, eventually};
pub(crate) use process::settings as settings_of;
use process::{Overrides, Process, settings};

/// Names the Redis that tests may use: `scripts/test` sets it.
pub const REDIS: &str = "CONFAB_TEST_REDIS";

/// Names the RabbitMQ that tests may use: `scripts/test` sets it.
pub const RABBITMQ: &str = "CONFAB_TEST_RABBITMQ";

/// How Confab is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One process on SQLite: what `cargo run` gives.
    Sqlite,
    /// One process on PostgreSQL.
    Postgres,
    /// Every role on its own, over TCP, on PostgreSQL, RabbitMQ and Redis, with two gateways and two replicas of
    /// threads; each gateway calls another one.
    Split,
}

impl Shape {
    /// Every shape; a scenario holds in all of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Split];

    /// The least and the most there can be in the way between two people.
    pub const ENDS: [Self; 2] = [Self::Sqlite, Self::Split];
}

/// A process that a test ends and starts; where there is more than one, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A gateway, or the process that is all in one.
    Gateway(usize),
    /// A replica of threads.
    Threads(usize),
    /// Search; there is one.
    Search,
    /// The completions.
    Completions,
}

/// A Confab of a test's own.
pub struct System {
    shape: Shape,
    common: Overrides,
    /// What gateways, replicas of threads and completions run as; none: in the test's own process.
    program: Option<PathBuf>,
    processes: Vec<Process>,
    folder: TempDir,
}

/// The roles whose rows lie in a database.
const WITH_DATABASE: [&str; 5] = [
    "sessions",
    "threads",
    "attachments",
    "completions",
    "search",
];

impl System {
    /// Starts one with the default settings, on ports and tables of its own.
    pub async fn start(shape: Shape) -> Self {
        Self::start_with(shape, &[]).await
    }

    /// Starts one with some settings of the test's choice, by dotted key.
    pub async fn start_with(shape: Shape, settings: &[(&str, &str)]) -> Self {
        Self::start_as(shape, None, settings).await
    }

    /// Starts one whose gateways, replicas of threads and completions are children that can be killed.
    pub async fn start_killable(
        shape: Shape,
        program: impl Into<PathBuf>,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::start_as(shape, Some(program.into()), settings).await
    }

    async fn start_as(shape: Shape, program: Option<PathBuf>, chosen: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the system");
        let mut common = common(shape, &folder).await;
        let chosen = chosen.iter();
        common.extend(chosen.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let mut system = Self {
            shape,
            common,
            program,
            processes: Vec::new(),
            folder,
        };
        system.build().await;
        system
    }

    /// Ends it and starts it again on the same tables and files.
    pub async fn restart(&mut self) {
        self.end().await;
        for index in 0..self.processes.len() {
            self.run(index).await;
        }
    }

    /// Ends it and starts it again in the test's own process, where its tables can be read.
    pub async fn restart_here(&mut self) {
        self.program = None;
        self.restart().await;
    }

    /// Ends it and starts it again with those as children that can be killed.
    pub async fn restart_killable(&mut self, program: impl Into<PathBuf>) {
        self.end().await;
        self.program = Some(program.into());
        self.restart().await;
    }

    /// Ends a process at once, as a crash does. It must be a child.
    pub fn kill(&mut self, part: Part) {
        let index = self.index(part);
        self.processes[index].kill();
    }

    /// Ends a process in order; one that is a child is killed.
    pub async fn stop_part(&mut self, part: Part) {
        let index = self.index(part);
        self.processes[index].stop().await;
    }

    /// Starts a process that was ended, on the ports it had.
    pub async fn start_part(&mut self, part: Part) {
        let index = self.index(part);
        self.run(index).await;
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
            .flat_map(|process| process.gateway().to_vec())
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
        self.find_lane(role).expect("some process reaches the role")
    }

    fn find_lane(&self, role: Role) -> Option<Lane> {
        self.processes.iter().find_map(|process| process.lane(role))
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

    /// A client of the search role.
    #[must_use]
    pub fn search(&self) -> SearchClient<Lane> {
        SearchClient::new(self.lane(Role::Search))
    }

    /// A client of the conversations between people.
    #[must_use]
    pub fn people(&self) -> PeopleClient<Lane> {
        PeopleClient::new(self.lane(Role::Threads))
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
        self.auditor().account(user).await
    }

    /// The first thousand entries of a user's ledger.
    pub async fn ledger(&self, user: Uuid) -> Vec<LedgerEntry> {
        self.auditor().ledger(user).await
    }

    /// Who looks into the services behind the front ends' backs.
    fn auditor(&self) -> Auditor {
        Auditor::new(self.lane(Role::Threads), self.lane(Role::Sessions))
    }

    async fn build(&mut self) {
        if self.shape != Shape::Split {
            self.processes.push(Process::new(&Role::ALL, Vec::new()));
            return self.run(0).await;
        }
        confab::migrate(&settings(&self.common, &Vec::new()))
            .await
            .expect("the tables are made");
        for role in Role::ALL {
            let copies = match role {
                Role::Gateway | Role::Threads => 2,
                _ => 1,
            };
            for copy in 0..copies {
                let own = self.urls(copy);
                self.processes.push(Process::new(&[role], own));
                self.run(self.processes.len() - 1).await;
            }
        }
    }

    /// Where the roles are that were started so far; of replicas the one that goes with a copy of their caller.
    fn urls(&self, copy: usize) -> Overrides {
        let mut urls = Overrides::new();
        for role in Role::ALL {
            let lanes = self.processes.iter().flat_map(Process::lanes);
            let replicas: Vec<_> = lanes.filter(|lane| lane.0 == role).collect();
            if let Some((_, address)) = replicas.get(copy).or(replicas.first()) {
                urls.push((format!("lanes.{role}.url"), format!("http://{address}")));
            }
        }
        urls
    }

    async fn run(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let killable = [Role::Gateway, Role::Threads, Role::Completions];
        let killable = killable.into_iter().any(|role| process.has(role));
        match &self.program {
            Some(program) if killable => {
                process.start_child(program, self.folder.path(), &self.common);
            }
            _ => process.start_here(&self.common).await,
        }
    }

    async fn end(&mut self) {
        // The last ones started are the ones that nobody calls.
        for process in self.processes.iter_mut().rev() {
            process.stop().await;
        }
    }

    fn index(&self, part: Part) -> usize {
        let (role, copy) = match part {
            Part::Gateway(copy) => (Role::Gateway, copy),
            Part::Threads(copy) => (Role::Threads, copy),
            Part::Search => (Role::Search, 0),
            Part::Completions => (Role::Completions, 0),
        };
        let processes = self.processes.iter().enumerate();
        let mut copies = processes.filter(|(_, process)| process.has(role));
        copies.nth(copy).expect("the system has this part").0
    }
}

/// The settings that every process of a system shares.
async fn common(shape: Shape, folder: &TempDir) -> Overrides {
    let attachments = folder.path().join("attachments").display().to_string();
    let mut common = vec![
        ("gateway.listen".to_owned(), "127.0.0.1:0".to_owned()),
        (
            "completions.agent_context.listen".to_owned(),
            "127.0.0.1:0".to_owned(),
        ),
        ("attachments.directory".to_owned(), attachments),
        ("shutdown.grace_seconds".to_owned(), "5".to_owned()),
    ];
    if shape == Shape::Split {
        let exchange = format!("confab-test-{}", Uuid::now_v7().simple());
        common.push(("delivery.url".to_owned(), named_by(RABBITMQ)));
        common.push(("delivery.exchange".to_owned(), exchange));
        common.push(("cache.url".to_owned(), named_by(REDIS)));
    }
    for role in WITH_DATABASE {
        let url = match shape {
            Shape::Sqlite => {
                let file = folder.path().join(format!("{role}.db"));
                format!("sqlite:{}", file.display())
            }
            Shape::Postgres | Shape::Split => scratch::postgres_url().await,
        };
        let database = [
            ("url", url),
            ("max_connections", "4".to_owned()),
            ("acquire_timeout_ms", "10000".to_owned()),
        ];
        let database = database.map(|(key, value)| (format!("{role}.database.{key}"), value));
        common.extend(database);
        common.push((format!("lanes.{role}.listen"), "127.0.0.1:0".to_owned()));
    }
    common
}

/// The URL of a server that tests may use.
///
/// # Panics
/// When the environment names none.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings to be given; this crate is not part of the shipped program"
)]
pub fn named_by(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no server; scripts/test starts one and sets it")
    })
}
