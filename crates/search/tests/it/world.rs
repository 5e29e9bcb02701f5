//! Search and threads on a database of the test's own, and calls with what a test does not care about filled in.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use confab_database::Database;
use confab_database::scratch::{Scratch, settings};
use confab_migrations as migrations;
use confab_rpc::completions::completions_server::CompletionsServer;
use confab_rpc::search::search_client::SearchClient;
use confab_rpc::search::search_server::SearchServer;
use confab_rpc::search::{FindRequest, FindResponse};
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_rpc::threads::{
    AppendExchangeRequest, AppendMessageRequest, AuthorKind, CreateThreadRequest,
    DeleteMessageRequest, DeleteThreadRequest, Entry, Exchange, FinishRequest, Message,
    MessageState, Thread, ThreadKind,
};
use confab_rpc::{Fault, Lane, Reason};
use confab_runtime::Tasks;
use confab_runtime::clock::ManualClock;
use confab_search::{BUILT_IN, Lanes, Service, Settings};
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::embedder::Embedder;

const PATIENCE: Duration = Duration::from_mins(1);

/// Both services, with a process of search that searches.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) embedder: Embedder,
    pub(crate) search: Process,
    threads: Lane,
    database: Database,
    _scratch: Scratch,
}

/// One process of search.
pub(crate) struct Process {
    pub(crate) service: Service,
    client: SearchClient<Lane>,
}

/// Nobody delivers what people write here.
#[derive(Debug)]
struct Nowhere;

impl confab_threads::Outlet for Nowhere {
    fn committed(&self, _: &[Entry]) {}
}

pub(crate) fn default_settings() -> Settings {
    Settings {
        database: settings("sqlite:the-test-opens-its-own"),
        embedding_model: BUILT_IN.to_owned(),
        messages_per_call: 2000,
        indexing_seconds: 60,
        embedding_seconds: 60,
        minimum_similarity: 0.1,
    }
}

pub(crate) fn uuid() -> String {
    Uuid::now_v7().to_string()
}

impl World {
    /// One on each database.
    pub(crate) async fn both() -> Vec<Self> {
        Self::both_with(|_| {}).await
    }

    /// One on each database, with other settings.
    pub(crate) async fn both_with(change: impl Fn(&mut Settings)) -> Vec<Self> {
        let mut worlds = Vec::new();
        for scratch in Scratch::both().await {
            worlds.push(Self::build(scratch, &change).await);
        }
        worlds
    }

    async fn build(scratch: Scratch, change: &impl Fn(&mut Settings)) -> Self {
        let database = scratch.database.clone();
        database
            .migrate::<migrations::threads::Migrator>()
            .await
            .unwrap();
        database
            .migrate::<migrations::search::Migrator>()
            .await
            .unwrap();
        let clock = ManualClock::at(DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap());
        let own = confab_threads::Settings {
            database: settings("sqlite:the-test-opens-its-own"),
            writers: 2,
        };
        let threads = confab_threads::Service::open(
            database.clone(),
            &own,
            Arc::new(Nowhere),
            Arc::new(clock.clone()),
            Tasks::new(),
        );
        let threads = Lane::local(threads.routes(), PATIENCE);
        let embedder = Embedder::new();
        let search = process(&database, &threads, &embedder, &clock, change);
        Self {
            clock,
            embedder,
            search,
            threads,
            database,
            _scratch: scratch,
        }
    }

    /// Another process of search on the same tables.
    pub(crate) fn another(&self, change: impl Fn(&mut Settings)) -> Process {
        process(
            &self.database,
            &self.threads,
            &self.embedder,
            &self.clock,
            &change,
        )
    }

    fn threads(&self) -> ThreadsClient<Lane> {
        ThreadsClient::new(self.threads.clone())
    }

    pub(crate) async fn thread(&self, user: &str) -> Thread {
        let request = CreateThreadRequest {
            user_id: user.to_owned(),
            kind: ThreadKind::Assistant.into(),
            title: "A thread".to_owned(),
            instructions: "Be kind.".to_owned(),
            ..Default::default()
        };
        self.threads()
            .create_thread(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// A message of a person.
    pub(crate) async fn say(&self, thread: &Thread, content: &str) -> Message {
        let request = AppendMessageRequest {
            user_id: thread.owner_id.clone(),
            thread_id: thread.id.clone(),
            author_kind: AuthorKind::Person.into(),
            content: content.to_owned(),
            ..Default::default()
        };
        self.threads()
            .append_message(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// A question, and an answer that is being written.
    pub(crate) async fn ask(&self, thread: &Thread, content: &str) -> Exchange {
        let request = AppendExchangeRequest {
            user_id: thread.owner_id.clone(),
            thread_id: thread.id.clone(),
            content: content.to_owned(),
            run_id: uuid(),
            model: "gpt".to_owned(),
            ..Default::default()
        };
        self.threads()
            .append_exchange(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// The end of an answer.
    pub(crate) async fn answer(&self, exchange: &Exchange, content: &str) {
        let answer = exchange.answer.clone().unwrap();
        let request = FinishRequest {
            thread_id: answer.thread_id,
            message_id: answer.id,
            run_id: answer.run_id,
            fence: 1,
            state: MessageState::Complete.into(),
            content: Some(content.to_owned()),
            ..Default::default()
        };
        self.threads().finish(request).await.unwrap();
    }

    pub(crate) async fn delete_thread(&self, thread: &Thread) {
        let request = DeleteThreadRequest {
            user_id: thread.owner_id.clone(),
            thread_id: thread.id.clone(),
        };
        self.threads().delete_thread(request).await.unwrap();
    }

    pub(crate) async fn delete_message(&self, user: &str, message: &Message) {
        let request = DeleteMessageRequest {
            user_id: user.to_owned(),
            message_id: message.id,
        };
        self.threads().delete_message(request).await.unwrap();
    }

    /// What a user finds, all of it.
    pub(crate) async fn find(&self, user: &str, query: &str) -> Vec<String> {
        let found = self.search.find(request(user, query)).await.unwrap();
        assert!(found.complete);
        texts(&found)
    }

    /// Vectors in the index.
    pub(crate) async fn vectors(&self) -> i64 {
        self.number("SELECT COUNT(*) AS number FROM message_vector")
            .await
    }

    /// Runs a statement that changes what another service keeps.
    pub(crate) async fn execute(&self, sql: &str) {
        self.database.write().execute_unprepared(sql).await.unwrap();
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let database = self.database.read();
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let row = database.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "number").unwrap()
    }
}

impl Process {
    pub(crate) async fn find(&self, request: FindRequest) -> Result<FindResponse, Reason> {
        match self.client.clone().find(request).await {
            Ok(reply) => Ok(reply.into_inner()),
            Err(status) => Err(Fault::from(status).reason),
        }
    }
}

fn process(
    database: &Database,
    threads: &Lane,
    embedder: &Embedder,
    clock: &ManualClock,
    change: &impl Fn(&mut Settings),
) -> Process {
    let mut settings = default_settings();
    change(&mut settings);
    let lanes = Lanes {
        threads: threads.clone(),
        completions: Lane::local(CompletionsServer::new(embedder.clone()), PATIENCE),
    };
    let clock = Arc::new(clock.clone());
    let service = Service::open(database.clone(), settings, lanes, clock, &Tasks::new()).unwrap();
    let lane = Lane::local(SearchServer::new(service.clone()), PATIENCE);
    Process {
        service,
        client: SearchClient::new(lane),
    }
}

pub(crate) fn request(user: &str, query: &str) -> FindRequest {
    FindRequest {
        user_id: user.to_owned(),
        query: query.to_owned(),
        ..Default::default()
    }
}

/// What was found, the nearest first.
pub(crate) fn texts(found: &FindResponse) -> Vec<String> {
    let messages = found.hits.iter().filter_map(|hit| hit.message.as_ref());
    messages.map(|message| message.content.clone()).collect()
}
