//! A house with every service that an ask needs, and processes that live and die in it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use confab_completions::{Lanes, Service};
use confab_database::Database;
use confab_database::scratch::{postgres_url, settings, sqlite_url};
use confab_migrations as migrations;
use confab_rpc::attachments::attachments_client::AttachmentsClient;
use confab_rpc::attachments::upload_request::{Commit, Part};
use confab_rpc::attachments::{Attachment, ListAttachmentsRequest, UploadRequest};
use confab_rpc::completions::completions_client::CompletionsClient;
use confab_rpc::completions::completions_server::CompletionsServer;
use confab_rpc::completions::{AskRequest, CancelRunRequest, FollowRequest, GetRunRequest, Run};
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::{
    Account, CreateUserRequest, EntryKind, GetAccountRequest, ListLedgerRequest, User,
};
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_rpc::threads::{
    CreateThreadRequest, GetThreadRequest, ListMessagesRequest, ListThreadsRequest, Message,
    MessageState, ReplaceSummaryRequest, Thread, ThreadKind,
};
use confab_rpc::{Fault, Lane};
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, SystemClock, Tasks};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;

use crate::asking::{Answered, Following};
use crate::setup::{lanes, owned, tree};
use crate::wire::Wire;

/// Of the shipped catalogue: 0.0015 and 0.002 dollars per 1,000 tokens, a context of 4,096.
pub(crate) const LLAMA: i32 = 8;
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// After so many looks what nobody renews was left. Whoever looks on after that takes it from its heir, which does not renew
/// so often either.
pub(crate) const LOOKS: usize = 4;

/// What outlives a process: databases, files, the time of day.
pub(crate) struct House {
    url: String,
    folder: TempDir,
    clock: ManualClock,
    overrides: Vec<(String, String)>,
    /// Looks at what the processes have done.
    pub(crate) observer: Clients,
    database: Database,
}

/// Clients of the services behind completions.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) sessions: SessionsClient<Lane>,
    pub(crate) threads: ThreadsClient<Lane>,
    pub(crate) attachments: AttachmentsClient<Lane>,
}

/// A process with all services.
pub(crate) struct Process {
    runtime: tokio::runtime::Runtime,
    pub(crate) client: CompletionsClient<Lane>,
    pub(crate) service: Service,
    pub(crate) wire: Wire,
    tasks: Tasks,
}

impl House {
    /// One on each database.
    pub(crate) async fn both() -> Vec<Self> {
        Self::both_with(&[]).await
    }

    /// One on each database, with these settings of `completions` overridden.
    pub(crate) async fn both_with(overrides: &[(&str, &str)]) -> Vec<Self> {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = sqlite_url(folder.path());
        let sqlite = Self::build(sqlite, folder, overrides).await;
        let folder = tempfile::tempdir().unwrap();
        let postgres = Self::build(postgres_url().await, folder, overrides).await;
        vec![sqlite, postgres]
    }

    async fn build(url: String, folder: TempDir, overrides: &[(&str, &str)]) -> Self {
        let database = Database::open(&settings(&url)).await.unwrap();
        database
            .migrate::<migrations::sessions::Migrator>()
            .await
            .unwrap();
        database
            .migrate::<migrations::threads::Migrator>()
            .await
            .unwrap();
        database
            .migrate::<migrations::attachments::Migrator>()
            .await
            .unwrap();
        database
            .migrate::<migrations::completions::Migrator>()
            .await
            .unwrap();
        let clock = ManualClock::at(SystemClock.now());
        let quiet = owned(&[("summarise", "false")]);
        let overrides: Vec<_> = quiet.chain(owned(overrides)).collect();
        let tree = tree(&overrides, folder.path());
        let lanes = lanes(&database, &tree, &clock, &Tasks::new(), &Wire::free()).await;
        Self {
            observer: Clients::new(&lanes),
            url,
            folder,
            clock,
            overrides,
            database,
        }
    }

    /// Starts a process.
    pub(crate) async fn start(&self) -> Process {
        self.start_on(Wire::free()).await
    }

    /// Starts a process whose calls go over this wire.
    pub(crate) async fn start_on(&self, wire: Wire) -> Process {
        self.start_with(wire, &[]).await
    }

    /// Starts a process with more settings of `completions` overridden.
    pub(crate) async fn start_with(&self, wire: Wire, overrides: &[(&str, &str)]) -> Process {
        // One thread, so that a process that is killed stops at once: with two, one of them may still write down what the
        // other's end did to a connection.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (url, clock, on) = (self.url.clone(), self.clock.clone(), wire.clone());
        let all = self.overrides.iter().cloned().chain(owned(overrides));
        let tree = tree(&all.collect::<Vec<_>>(), self.folder.path());
        let open = async move {
            let database = Database::open(&settings(&url)).await.unwrap();
            let tasks = Tasks::new();
            let lanes = lanes(&database, &tree, &clock, &tasks, &on).await;
            let clock = Arc::new(clock);
            let service =
                Service::open(database, tree.completions, lanes, clock, tasks.clone()).await;
            let service = service.unwrap();
            let server = CompletionsServer::new(service.clone());
            (service, Lane::local(server, PATIENCE), tasks)
        };
        let handle = runtime.handle().clone();
        let (service, lane, tasks) = in_runtime(&handle, open).await;
        Process {
            runtime,
            client: CompletionsClient::new(lane),
            service,
            wire,
            tasks,
        }
    }

    /// What was set aside for chats runs out.
    pub(crate) fn let_reservations_expire(&self) {
        self.clock.advance(TimeDelta::minutes(20));
    }

    /// Returns when nothing of a user's money is set aside.
    pub(crate) async fn nothing_is_set_aside(&self, user: &User) {
        let looking = async {
            while self.account(user).await.reserved_microdollars > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }

    /// A user with money and grants.
    pub(crate) async fn user(&self, microdollars: i64, models: &[i32]) -> User {
        let request = CreateUserRequest {
            username: uuid::Uuid::now_v7().to_string(),
            id: String::new(),
            models: models.to_vec(),
            deposit_microdollars: microdollars,
        };
        let created = self.observer.sessions.clone().create_user(request).await;
        created.unwrap().into_inner()
    }

    pub(crate) async fn account(&self, user: &User) -> Account {
        let user_id = user.id.clone();
        let request = GetAccountRequest { user_id };
        let account = self.observer.sessions.clone().get_account(request).await;
        account.unwrap().into_inner()
    }

    /// An empty thread of the user's.
    pub(crate) async fn thread(&self, user: &User) -> Thread {
        let request = CreateThreadRequest {
            user_id: user.id.clone(),
            kind: ThreadKind::Assistant.into(),
            title: "A thread".to_owned(),
            instructions: String::new(),
            model_id: Some(LLAMA),
            id: String::new(),
        };
        let made = self.observer.threads.clone().create_thread(request).await;
        made.unwrap().into_inner()
    }

    pub(crate) async fn threads(&self, user: &User) -> Vec<Thread> {
        let request = ListThreadsRequest {
            user_id: user.id.clone(),
            kind: ThreadKind::Assistant.into(),
            limit: 0,
            before_id: String::new(),
        };
        let listed = self.observer.threads.clone().list_threads(request).await;
        listed.unwrap().into_inner().threads
    }

    pub(crate) async fn one_thread(&self, user: &User, thread_id: &str) -> Thread {
        let request = GetThreadRequest {
            user_id: user.id.clone(),
            thread_id: thread_id.to_owned(),
            ..GetThreadRequest::default()
        };
        let thread = self.observer.threads.clone().get_thread(request).await;
        thread.unwrap().into_inner()
    }

    /// A summary that covers nothing.
    pub(crate) async fn set_summary(&self, user: &User, thread_id: &str, summary: &str) {
        let request = ReplaceSummaryRequest {
            user_id: user.id.clone(),
            thread_id: thread_id.to_owned(),
            expected_seq: 0,
            summary: summary.to_owned(),
            summary_seq: 0,
            expected_deletions: 0,
        };
        let mut threads = self.observer.threads.clone();
        threads.replace_summary(request).await.unwrap();
    }

    pub(crate) async fn messages(&self, user: &User, thread_id: &str) -> Vec<Message> {
        let request = ListMessagesRequest {
            user_id: user.id.clone(),
            thread_id: thread_id.to_owned(),
            ..ListMessagesRequest::default()
        };
        let listed = self.observer.threads.clone().list_messages(request).await;
        listed.unwrap().into_inner().messages
    }

    pub(crate) async fn upload(&self, user: &User, thread: &Thread) -> Attachment {
        let commit = Commit {
            owner_id: user.id.clone(),
            thread_id: thread.id.clone(),
            original_name: "notes.txt".to_owned(),
            declared_type: "text/plain".to_owned(),
            ..Default::default()
        };
        let parts = [Part::Chunk(b"Some notes.".to_vec()), Part::Commit(commit)];
        let parts = parts.map(|part| UploadRequest { part: Some(part) });
        let stream = futures_util::stream::iter(parts);
        let uploaded = self.observer.attachments.clone().upload(stream).await;
        uploaded.unwrap().into_inner()
    }

    pub(crate) async fn files(&self, user: &User, thread: &Thread) -> Vec<String> {
        let request = ListAttachmentsRequest {
            user_id: user.id.clone(),
            thread_id: thread.id.clone(),
            ..Default::default()
        };
        let mut attachments = self.observer.attachments.clone();
        let listed = attachments.list_attachments(request).await;
        let files = listed.unwrap().into_inner().attachments;
        files.into_iter().map(|file| file.name).collect()
    }

    /// The user's charges, oldest first.
    pub(crate) async fn charges(&self, user: &User) -> Vec<i64> {
        let entries = self.ledger(user).await;
        entries
            .into_iter()
            .filter(|(kind, _)| *kind == EntryKind::Charge)
            .map(|(_, amount)| -amount)
            .collect()
    }

    async fn ledger(&self, user: &User) -> Vec<(EntryKind, i64)> {
        let request = ListLedgerRequest {
            user_id: user.id.clone(),
            after_id: 0,
            limit: 1000,
        };
        let listed = self.observer.sessions.clone().list_ledger(request).await;
        let entries = listed.unwrap().into_inner().entries;
        entries
            .iter()
            .map(|entry| (entry.kind(), entry.amount_microdollars))
            .collect()
    }

    /// With no process alive: nothing is open, no answer hangs, and the books add up.
    pub(crate) async fn check_books(&self, user: &User) {
        let account = self.account(user).await;
        let entries = self.ledger(user).await;
        let sum: i64 = entries.iter().map(|(_, amount)| amount).sum();
        assert_eq!(sum, account.balance_microdollars, "the ledger's sum");
        assert!(account.balance_microdollars >= 0);
        assert_eq!(account.reserved_microdollars, 0, "money is still set aside");
        for thread in self.threads(user).await {
            for message in self.messages(user, &thread.id).await {
                assert_ne!(message.state(), MessageState::Streaming, "an answer hangs");
            }
        }
        assert_eq!(self.open_runs().await, 0, "runs are still open");
    }

    /// Returns when so much of a thread's answer is stored.
    pub(crate) async fn stored(&self, user: &User, thread_id: &str, text: &str) {
        let looking = async {
            while self.messages(user, thread_id).await[1].content != text {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }

    /// Returns when the wish to stop a run is written down.
    pub(crate) async fn cancel_is_written(&self) {
        let database = self.database.read();
        let backend = database.get_database_backend();
        let sql = "SELECT id FROM run WHERE cancel_requested_at IS NOT NULL";
        let looking = async {
            let wishes = || Statement::from_string(backend, sql);
            while database.query_one_raw(wishes()).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap();
    }

    /// The run that was begun last.
    pub(crate) async fn last_run(&self) -> String {
        let database = self.database.read();
        let backend = database.get_database_backend();
        let sql = "SELECT id FROM run ORDER BY id DESC LIMIT 1";
        let statement = Statement::from_string(backend, sql);
        let row = database.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get::<uuid::Uuid>("", "id").unwrap().to_string()
    }

    async fn open_runs(&self) -> i64 {
        let database = self.database.read();
        let backend = database.get_database_backend();
        let sql = "SELECT COUNT(*) AS open FROM run WHERE state <> 4";
        let statement = Statement::from_string(backend, sql);
        let row = database.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "open").unwrap()
    }
}

impl Clients {
    fn new(lanes: &Lanes) -> Self {
        Self {
            sessions: SessionsClient::new(lanes.sessions.clone()),
            threads: ThreadsClient::new(lanes.threads.clone()),
            attachments: AttachmentsClient::new(lanes.attachments.clone()),
        }
    }
}

impl Process {
    /// Asks and reads to the end.
    pub(crate) async fn ask(&self, request: AskRequest) -> Result<Answered, Fault> {
        self.begin(request).await?.rest().await
    }

    /// Asks; returns when the run is under way.
    pub(crate) async fn begin(&self, request: AskRequest) -> Result<Following, Fault> {
        let mut client = self.client.clone();
        let stream = client.ask(request).await.map_err(Fault::from)?.into_inner();
        Following::start(stream).await
    }

    /// Follows a run of which the caller has this text.
    pub(crate) async fn follow(
        &self,
        user: &User,
        run_id: &str,
        text: &str,
    ) -> Result<Following, Fault> {
        let request = FollowRequest {
            user_id: user.id.clone(),
            run_id: run_id.to_owned(),
            offset: i64::try_from(text.len()).unwrap(),
        };
        let mut client = self.client.clone();
        let stream = client.follow(request).await.map_err(Fault::from)?;
        Following::resume(stream.into_inner(), text).await
    }

    pub(crate) async fn run(&self, user: &User, run_id: &str) -> Result<Run, Fault> {
        let request = GetRunRequest {
            user_id: user.id.clone(),
            run_id: run_id.to_owned(),
        };
        let run = self.client.clone().get_run(request).await?;
        Ok(run.into_inner())
    }

    pub(crate) async fn cancel(&self, user: &User, run_id: &str) -> Result<Run, Fault> {
        let request = CancelRunRequest {
            user_id: user.id.clone(),
            run_id: run_id.to_owned(),
        };
        let run = self.client.clone().cancel_run(request).await?;
        Ok(run.into_inner())
    }

    /// The process ends as one that is killed: nothing of it goes on.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }

    /// The process ends when all its work is done.
    pub(crate) async fn stop(self) {
        assert!(self.tasks.stop(PATIENCE).await, "work is still under way");
        self.runtime.shutdown_background();
    }

    /// Looks at the leases of others so often that what nobody renews is ended; says how many were.
    pub(crate) async fn reap(&self) -> usize {
        for _ in 0..LOOKS {
            let ended = self.look().await;
            if ended > 0 {
                return ended;
            }
        }
        0
    }

    /// Looks at the leases of others, once.
    pub(crate) async fn look(&self) -> usize {
        let service = self.service.clone();
        let look = async move { service.reap_once().await.unwrap() };
        in_runtime(self.runtime.handle(), look).await
    }
}

/// Runs on another runtime, as a process of its own does.
async fn in_runtime<T: Send + 'static>(
    runtime: &tokio::runtime::Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.spawn(work).await.unwrap()
}
