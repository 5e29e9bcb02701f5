//! Threads with a model: making and reading them, what is asked and answered there.

use confab_rpc::threads::locate_request::By;
use confab_rpc::threads::threads_server;
use confab_rpc::threads::{
    AppendExchangeRequest, AppendMessageRequest, CheckpointRequest, CreateThreadRequest,
    DeleteMessageRequest, DeleteMessageResponse, DeleteThreadRequest, DeleteThreadResponse,
    Exchange, FinishRequest, GetMessageRequest, GetMessagesRequest, GetMessagesResponse,
    GetThreadRequest, ListMessagesRequest, ListMessagesResponse, ListThreadsRequest,
    ListThreadsResponse, LocateRequest, Located, Message, ReplaceSummaryRequest, Thread,
    UpdateThreadRequest,
};
use tonic::{Request, Response, Status};

use super::Service;
use crate::error::Error;
use crate::store::steps::AnswerEnd;
use crate::store::{self, Answer, Threads};
use crate::{decode, encode, page, text};

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
            .get(decode::which(&request.thread_id, request.number)?)
            .await?;
        Ok(Response::new(thread.into()))
    }

    async fn update_thread(
        &self,
        request: Request<UpdateThreadRequest>,
    ) -> Result<Response<Thread>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let thread = decode::thread_id(&request.thread_id)?;
        let title = request.title.map(decode::title).transpose()?;
        let thread = Threads::of(&self.database, user)
            .update(thread, title)
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
        let exchange = if request.answer_only {
            let new = decode::new_answer(request)?;
            Threads::of(&self.database, user)
                .append_answer(&new, self.clock.now())
                .await?
        } else {
            let new = decode::new_exchange(request)?;
            self.scribe.append(user, new).await?
        };
        Ok(Response::new(exchange.into()))
    }

    async fn checkpoint(
        &self,
        request: Request<CheckpointRequest>,
    ) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let (thread, run) = decode::answer(&request.thread_id, &request.run_id)?;
        let piece = decode::piece(request.offset, request.restart, request.text)?;
        let message = Answer::of(&self.database, thread, request.message_id, run)
            .extend(request.fence, &piece, self.clock.now())
            .await?;
        Ok(Response::new(encode::message(thread, message)))
    }

    async fn finish(&self, request: Request<FinishRequest>) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let (thread, run) = decode::answer(&request.thread_id, &request.run_id)?;
        let (message_id, fence) = (request.message_id, request.fence);
        let end = AnswerEnd {
            thread_id: thread,
            message_id,
            run_id: run,
            fence,
            ending: decode::ending(request)?,
        };
        let message = self.scribe.end(end).await?;
        Ok(Response::new(encode::message(thread, message)))
    }

    async fn append_message(
        &self,
        request: Request<AppendMessageRequest>,
    ) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let user = decode::visitor(&request.user_id)?;
        let new = decode::new_message(request)?;
        let message = Threads::of(&self.database, user)
            .append_message(&new, self.clock.now())
            .await?;
        Ok(Response::new(encode::message(new.thread, message)))
    }

    async fn get_message(
        &self,
        request: Request<GetMessageRequest>,
    ) -> Result<Response<Message>, Status> {
        let request = request.into_inner();
        let user = decode::reader(&request.user_id)?;
        let mut found = Threads::of(&self.database, user)
            .message(request.message_id)
            .await?;
        found.message.content = text::from(found.message.content, request.content_from)?;
        Ok(Response::new(found.into()))
    }

    async fn get_messages(
        &self,
        request: Request<GetMessagesRequest>,
    ) -> Result<Response<GetMessagesResponse>, Status> {
        let request = request.into_inner();
        let user = decode::user(&request.user_id)?;
        let (messages, more) = Threads::of(&self.database, user)
            .messages_among(decode::message_ids(&request.message_ids)?)
            .await?;
        Ok(Response::new(GetMessagesResponse {
            messages: messages.into_iter().map(Into::into).collect(),
            more,
        }))
    }

    async fn delete_message(
        &self,
        request: Request<DeleteMessageRequest>,
    ) -> Result<Response<DeleteMessageResponse>, Status> {
        let request = request.into_inner();
        let user = decode::reader(&request.user_id)?;
        Threads::of(&self.database, user)
            .delete_message(request.message_id, self.clock.now())
            .await?;
        Ok(Response::new(DeleteMessageResponse {}))
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
        let thread = decode::thread_id(&request.thread_id)?;
        let thread = Threads::of(&self.database, user)
            .replace_summary(thread, decode::summary(request)?)
            .await?;
        Ok(Response::new(thread.into()))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<Located>, Status> {
        let owned = match request.into_inner().by {
            Some(By::Number(number)) => store::locate_thread(&self.database, number).await?,
            Some(By::MessageId(id)) => store::locate_message(&self.database, id).await?,
            None => return Err(Error::ThreadNotFound.into()),
        };
        Ok(Response::new(owned.into()))
    }
}
