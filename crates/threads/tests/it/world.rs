//! The service on a database of the test's own, and calls with what a test does not care about filled in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use confab_database::Database;
use confab_database::scratch::{Scratch, settings};
use confab_migrations::threads::Migrator;
use confab_rpc::threads::locate_request::By;
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_rpc::threads::{
    AppendExchangeRequest, AppendMessageRequest, AuthorKind, CheckpointRequest,
    CreateThreadRequest, DeleteMessageRequest, DeleteThreadRequest, Entry, Exchange, FinishRequest,
    GetMessageRequest, GetMessagesRequest, GetThreadRequest, ListMessagesRequest,
    ListThreadsRequest, LocateRequest, Located, Message, MessageState, Thread, ThreadKind,
};
use confab_rpc::{Fault, Lane, Reason};
use confab_runtime::Tasks;
use confab_runtime::clock::ManualClock;
use confab_threads::{Outlet, Service, Settings};
use tonic::{Response, Status};
use uuid::Uuid;

/// One running service.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    client: ThreadsClient<Lane>,
    _scratch: Scratch,
}

/// An outlet into nothing.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Outlet for Nowhere {
    fn committed(&self, _: &[Entry]) {}
}

/// One instance of the service.
pub(crate) fn service(
    database: &Database,
    clock: &ManualClock,
    outlet: Arc<dyn Outlet>,
) -> Service {
    let settings = Settings {
        database: settings("sqlite:the-test-opens-its-own"),
        writers: 2,
    };
    let clock = Arc::new(clock.clone());
    Service::open(database.clone(), &settings, outlet, clock, Tasks::new())
}

/// What came of a call.
pub(crate) type Outcome<T> = Result<T, Reason>;

pub(crate) fn outcome<T>(reply: Result<Response<T>, Status>) -> Outcome<T> {
    reply
        .map(Response::into_inner)
        .map_err(|status| Fault::from(status).reason)
}

pub(crate) fn uuid() -> String {
    Uuid::now_v7().to_string()
}

impl World {
    /// One on each database.
    pub(crate) async fn both() -> Vec<Self> {
        let mut worlds = Vec::new();
        for scratch in Scratch::both().await {
            scratch.database.migrate::<Migrator>().await.unwrap();
            let clock = ManualClock::at(DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap());
            let service = service(&scratch.database, &clock, Arc::new(Nowhere));
            let lane = Lane::local(service.routes(), Duration::from_mins(1));
            worlds.push(Self {
                clock,
                client: ThreadsClient::new(lane),
                _scratch: scratch,
            });
        }
        worlds
    }

    pub(crate) fn client(&self) -> ThreadsClient<Lane> {
        self.client.clone()
    }

    pub(crate) async fn create(&self, request: CreateThreadRequest) -> Outcome<Thread> {
        outcome(self.client().create_thread(request).await)
    }

    /// A new thread of that user.
    pub(crate) async fn thread(&self, user: &str) -> Thread {
        self.create(new_thread(user)).await.unwrap()
    }

    pub(crate) async fn get(&self, user: &str, thread: &str) -> Outcome<Thread> {
        let request = GetThreadRequest {
            user_id: user.into(),
            thread_id: thread.into(),
            number: 0,
        };
        outcome(self.client().get_thread(request).await)
    }

    pub(crate) async fn list(&self, user: &str, limit: u32, before: &str) -> Outcome<Vec<Thread>> {
        let request = ListThreadsRequest {
            user_id: user.into(),
            kind: ThreadKind::Assistant.into(),
            limit,
            before_id: before.into(),
        };
        Ok(outcome(self.client().list_threads(request).await)?.threads)
    }

    pub(crate) async fn delete(&self, user: &str, thread: &str) -> Outcome<()> {
        let request = DeleteThreadRequest {
            user_id: user.into(),
            thread_id: thread.into(),
        };
        outcome(self.client().delete_thread(request).await).map(|_| ())
    }

    pub(crate) async fn append(&self, request: AppendExchangeRequest) -> Outcome<Exchange> {
        outcome(self.client().append_exchange(request).await)
    }

    /// The answer of a new exchange in a new thread of that user.
    pub(crate) async fn answer(&self, user: &str) -> Message {
        let thread = self.thread(user).await;
        let exchange = self.append(question(user, &thread.id, "hello")).await;
        exchange.unwrap().answer.unwrap()
    }

    pub(crate) async fn checkpoint(&self, request: CheckpointRequest) -> Outcome<Message> {
        outcome(self.client().checkpoint(request).await)
    }

    pub(crate) async fn finish(&self, request: FinishRequest) -> Outcome<Message> {
        outcome(self.client().finish(request).await)
    }

    pub(crate) async fn page(&self, request: ListMessagesRequest) -> Outcome<(Vec<Message>, bool)> {
        let reply = outcome(self.client().list_messages(request).await)?;
        Ok((reply.messages, reply.more))
    }

    pub(crate) async fn say(&self, request: AppendMessageRequest) -> Outcome<Message> {
        outcome(self.client().append_message(request).await)
    }

    pub(crate) async fn message(&self, user: &str, id: i64) -> Outcome<Message> {
        let request = GetMessageRequest {
            user_id: user.into(),
            message_id: id,
            content_from: 0,
        };
        outcome(self.client().get_message(request).await)
    }

    pub(crate) async fn messages(&self, user: &str, ids: &[i64]) -> Outcome<(Vec<Message>, bool)> {
        let request = GetMessagesRequest {
            user_id: user.into(),
            message_ids: ids.into(),
        };
        let reply = outcome(self.client().get_messages(request).await)?;
        Ok((reply.messages, reply.more))
    }

    pub(crate) async fn delete_message(&self, user: &str, id: i64) -> Outcome<()> {
        let request = DeleteMessageRequest {
            user_id: user.into(),
            message_id: id,
        };
        outcome(self.client().delete_message(request).await).map(|_| ())
    }

    pub(crate) async fn locate(&self, by: Option<By>) -> Outcome<Located> {
        outcome(self.client().locate(LocateRequest { by }).await)
    }

    pub(crate) async fn locate_message(&self, id: i64) -> Outcome<Located> {
        self.locate(Some(By::MessageId(id))).await
    }

    /// A message as its thread's log has it.
    pub(crate) async fn stored(&self, message: &Message) -> Message {
        let request = ListMessagesRequest {
            after_seq: message.seq - 1,
            limit: 1,
            ..all(&message.author_id, &message.thread_id)
        };
        self.page(request).await.unwrap().0.remove(0)
    }
}

pub(crate) fn new_thread(user: &str) -> CreateThreadRequest {
    CreateThreadRequest {
        user_id: user.into(),
        kind: ThreadKind::Assistant.into(),
        title: "Title".into(),
        instructions: "Be kind.".into(),
        model_id: Some(4),
        id: String::new(),
    }
}

pub(crate) fn question(user: &str, thread: &str, content: &str) -> AppendExchangeRequest {
    AppendExchangeRequest {
        user_id: user.into(),
        thread_id: thread.into(),
        content: content.into(),
        run_id: uuid(),
        model: "gpt".into(),
        ..Default::default()
    }
}

pub(crate) fn keyed(user: &str, thread: &str, content: &str, key: &str) -> AppendExchangeRequest {
    AppendExchangeRequest {
        client_msg_id: key.into(),
        ..question(user, thread, content)
    }
}

pub(crate) fn answer_only(user: &str, thread: &str) -> AppendExchangeRequest {
    AppendExchangeRequest {
        answer_only: true,
        ..question(user, thread, "")
    }
}

/// What a person says to nobody in particular.
pub(crate) fn said(user: &str, thread: &str, content: &str) -> AppendMessageRequest {
    AppendMessageRequest {
        user_id: user.into(),
        thread_id: thread.into(),
        author_kind: AuthorKind::Person.into(),
        content: content.into(),
        ..Default::default()
    }
}

pub(crate) fn checkpoint(
    answer: &Message,
    fence: i64,
    offset: i64,
    text: &str,
) -> CheckpointRequest {
    CheckpointRequest {
        thread_id: answer.thread_id.clone(),
        message_id: answer.id,
        run_id: answer.run_id.clone(),
        fence,
        offset,
        restart: false,
        text: text.into(),
    }
}

pub(crate) fn finish(answer: &Message, fence: i64, content: Option<&str>) -> FinishRequest {
    FinishRequest {
        thread_id: answer.thread_id.clone(),
        message_id: answer.id,
        run_id: answer.run_id.clone(),
        fence,
        state: MessageState::Complete.into(),
        content: content.map(Into::into),
        ..Default::default()
    }
}

pub(crate) fn all(user: &str, thread: &str) -> ListMessagesRequest {
    ListMessagesRequest {
        user_id: user.into(),
        thread_id: thread.into(),
        ..Default::default()
    }
}
