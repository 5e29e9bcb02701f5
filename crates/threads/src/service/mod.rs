//! The contract, one short function per call: decode, ask the store, encode.

mod people;
mod sends;

use std::fmt;
use std::sync::Arc;

use confab_database::Database;
use confab_rpc::threads::people_server::PeopleServer;
use confab_rpc::threads::threads_server::{self, ThreadsServer};
use confab_rpc::threads::{
    AppendExchangeRequest, CheckpointRequest, CreateThreadRequest, DeleteThreadRequest,
    DeleteThreadResponse, Exchange, FinishRequest, GetThreadRequest, ListMessagesRequest,
    ListMessagesResponse, ListThreadsRequest, ListThreadsResponse, Message, ReplaceSummaryRequest,
    Thread,
};
use confab_runtime::{Clock, Tasks};
use sea_orm::DbBackend;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use self::sends::Places;
use crate::store::{Answer, Threads};
use crate::writers::Writers;
use crate::{Outlet, Settings, decode, encode, page};

/// The threads service. Its database must have been migrated.
#[derive(Clone)]
pub struct Service {
    database: Database,
    writers: Writers,
    places: Arc<Places>,
    outlet: Arc<dyn Outlet>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
}

impl Service {
    /// The service on its migrated database. The clock stamps what is written; committed entries of threads between people
    /// go to the outlet; the tasks' stop ends the writers after what is queued.
    #[must_use]
    pub fn open(
        database: Database,
        settings: &Settings,
        outlet: Arc<dyn Outlet>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        let count = match database.backend() {
            DbBackend::Postgres => settings.writers,
            _ => 1,
        };
        Self {
            writers: Writers::open(count, &database, &outlet, &clock, &tasks),
            database,
            places: Arc::default(),
            outlet,
            clock,
            tasks,
        }
    }

    /// The service as it is served: every contract on one lane.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(ThreadsServer::new(self.clone()))
            .add_service(PeopleServer::new(self.clone()))
            .prepare()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl threads_server::Threads for Service {
    async fn create_thread(
        &self,
        request: Request<CreateThreadRequest>,
    ) -> Result<Response<Thread>, Status> {
        let request = request.into_inner();
        let user = decode::user(&request.user_id)?;
        let new = decode::new_thread(request)?;
        let thread = Threads::of(&self.database, user)
            .create(&new, self.clock.now())
            .await?;
        Ok(Response::new(thread.into()))
    }

    async fn get_thread(
        &self,
        request: Request<GetThreadRequest>,
    ) -> Result<Response<Thread>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let thread = Threads::of(&self.database, user)
            .get(decode::thread_id(&request.thread_id)?)
            .await?;
        Ok(Response::new(thread.into()))
    }

    async fn list_threads(
        &self,
        request: Request<ListThreadsRequest>,
    ) -> Result<Response<ListThreadsResponse>, Status> {
        let request = request.into_inner();
        let user = decode::user(&request.user_id)?;
        let kind = decode::kind(request.kind)?;
        let before = match request.before_id.as_str() {
            "" => None,
            id => Some(decode::thread_id(id)?),
        };
        let threads = Threads::of(&self.database, user)
            .list(kind, page::listed(request.limit), before)
            .await?;
        Ok(Response::new(ListThreadsResponse {
            threads: threads.into_iter().map(Into::into).collect(),
        }))
    }

    async fn delete_thread(
        &self,
        request: Request<DeleteThreadRequest>,
    ) -> Result<Response<DeleteThreadResponse>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        Threads::of(&self.database, user)
            .delete(decode::thread_id(&request.thread_id)?)
            .await?;
        Ok(Response::new(DeleteThreadResponse {}))
    }

    async fn append_exchange(
        &self,
        request: Request<AppendExchangeRequest>,
    ) -> Result<Response<Exchange>, Status> {
        let request = request.into_inner();
        let user = match &request.new_thread {
            Some(_) => decode::user(&request.user_id)?,
            None => decode::visitor(&request.user_id)?,
        };
        let new = decode::new_exchange(request)?;
        let exchange = Threads::of(&self.database, user)
            .append(&new, self.clock.now())
            .await?;
        Ok(Response::new(exchange.into()))
    }

    async fn checkpoint(
        &self,
        request: Request<CheckpointRequest>,
    ) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let (thread, run) = decode::answer(&request.thread_id, &request.run_id)?;
        let (offset, text) = decode::checkpoint(request.offset, request.text)?;
        let message = Answer::of(&self.database, thread, request.message_id, run)
            .extend(request.fence, offset, &text, self.clock.now())
            .await?;
        Ok(Response::new(encode::message(thread, message)))
    }

    async fn finish(&self, request: Request<FinishRequest>) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let (thread, run) = decode::answer(&request.thread_id, &request.run_id)?;
        let (state, content) = decode::ending(request.state, request.content)?;
        let message = Answer::of(&self.database, thread, request.message_id, run)
            .end(request.fence, state, content, self.clock.now())
            .await?;
        Ok(Response::new(encode::message(thread, message)))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let thread = decode::thread_id(&request.thread_id)?;
        let (messages, more) = Threads::of(&self.database, user)
            .messages(thread, decode::bounds(&request)?)
            .await?;
        Ok(Response::new(ListMessagesResponse {
            messages: messages
                .into_iter()
                .map(|message| encode::message(thread, message))
                .collect(),
            more,
        }))
    }

    async fn replace_summary(
        &self,
        request: Request<ReplaceSummaryRequest>,
    ) -> Result<Response<Thread>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let thread = Threads::of(&self.database, user)
            .replace_summary(
                decode::thread_id(&request.thread_id)?,
                request.expected_seq,
                decode::summary(request.summary)?,
                request.summary_seq,
            )
            .await?;
        Ok(Response::new(thread.into()))
    }

    async fn update_thread(
        &self,
        _: Request<confab_rpc::threads::UpdateThreadRequest>,
    ) -> Result<Response<Thread>, Status> {
        Err(Status::unimplemented("update_thread"))
    }

    async fn append_message(
        &self,
        _: Request<confab_rpc::threads::AppendMessageRequest>,
    ) -> Result<Response<Message>, Status> {
        Err(Status::unimplemented("append_message"))
    }

    async fn get_message(
        &self,
        _: Request<confab_rpc::threads::GetMessageRequest>,
    ) -> Result<Response<Message>, Status> {
        Err(Status::unimplemented("get_message"))
    }

    async fn get_messages(
        &self,
        _: Request<confab_rpc::threads::GetMessagesRequest>,
    ) -> Result<Response<confab_rpc::threads::GetMessagesResponse>, Status> {
        Err(Status::unimplemented("get_messages"))
    }

    async fn locate(
        &self,
        _: Request<confab_rpc::threads::LocateRequest>,
    ) -> Result<Response<confab_rpc::threads::Located>, Status> {
        Err(Status::unimplemented("locate"))
    }

    async fn delete_message(
        &self,
        _: Request<confab_rpc::threads::DeleteMessageRequest>,
    ) -> Result<Response<confab_rpc::threads::DeleteMessageResponse>, Status> {
        Err(Status::unimplemented("delete_message"))
    }
}
