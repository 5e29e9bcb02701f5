//! What an agent may ask back while it answers: this run's user, this run's thread, nothing else.

use std::sync::Arc;

use confab_rpc::agents::agent_context_server::AgentContext;
use confab_rpc::agents::{
    AttachmentChunk, ContextAttachment, ContextMessage, GetSummaryRequest, ListAttachmentsRequest,
    ListAttachmentsResponse, ListMessagesRequest, ListMessagesResponse,
    ListPreviousSessionsRequest, ListPreviousSessionsResponse, PreviousSession,
    ReadAttachmentRequest, Summary,
};
use confab_rpc::attachments::{Attachment, DownloadResponse, download_response};
use confab_rpc::threads::{Message, Thread};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::context::role;
use crate::error::Error;
use crate::history::Span;
use crate::provider::Role;
use crate::run::Engine;
use crate::store::Run;

/// Metadata that carries the run's token.
const RUN_TOKEN: &str = "confab-run-token";
/// Text of one reply, in estimated tokens: with it, a reply stays below 4 MiB.
const REPLY_TOKENS: u32 = 512 * 1024;
/// Threads that are read at once.
const AT_ONCE: usize = 4;

/// A number that is asked for, with what 0 stands for and the most there is.
struct Count {
    default: u32,
    most: u32,
}

const MESSAGES: Count = Count {
    default: 50,
    most: 500,
};
const SESSIONS: Count = Count {
    default: 5,
    most: 50,
};
const MESSAGES_EACH: Count = Count {
    default: 10,
    most: 100,
};

impl Count {
    fn of(&self, asked: u32) -> u32 {
        if asked == 0 {
            self.default
        } else {
            asked.min(self.most)
        }
    }
}

/// The service that agents ask back. Every call is answered for the run whose token it carries.
#[derive(Clone)]
pub struct AgentContextService {
    engine: Arc<Engine>,
}

impl AgentContextService {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The run under way that the call's token belongs to.
    async fn run<T>(&self, request: &Request<T>) -> Result<Run, Error> {
        let token = request.metadata().get(RUN_TOKEN);
        let token = token.ok_or(Error::TokenInvalid)?;
        let hash = Sha256::digest(token.as_bytes());
        let run = self.engine.store.by_agent_token(&hash).await?;
        run.ok_or(Error::TokenInvalid)
    }

    async fn last_messages(&self, span: Span, limit: u32) -> Result<Vec<ContextMessage>, Error> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let messages = span
            .exchanges(&self.engine.backends, limit, REPLY_TOKENS)
            .await?;
        Ok(messages.into_iter().map(context_message).collect())
    }

    async fn previous_sessions(
        &self,
        run: &Run,
        request: ListPreviousSessionsRequest,
    ) -> Result<Vec<PreviousSession>, Error> {
        let sessions = SESSIONS.of(request.sessions);
        let each = MESSAGES_EACH.of(request.messages_each);
        // One more, as the run's own may be among them.
        let listed = self
            .engine
            .backends
            .threads(run.user_id, sessions + 1)
            .await?;
        let own = run.thread_id.to_string();
        let others = listed
            .into_iter()
            .filter(|thread| thread.id != own)
            .take(usize::try_from(sessions).unwrap_or(usize::MAX));
        let read: Vec<_> = futures_util::stream::iter(others)
            .map(|thread| self.previous_session(run.user_id, thread, each))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// `None` when it was removed meanwhile.
    async fn previous_session(
        &self,
        user_id: Uuid,
        thread: Thread,
        messages_each: u32,
    ) -> Result<Option<PreviousSession>, Error> {
        let Ok(thread_id) = thread.id.parse() else {
            return Ok(None);
        };
        let span = Span {
            user_id,
            thread_id,
            after_seq: 0,
            before_seq: 0,
        };
        let read = async {
            // Lists of threads come without their summaries.
            let thread = self.engine.backends.thread(user_id, thread_id).await?;
            let messages = self.last_messages(span, messages_each).await?;
            Ok(PreviousSession {
                session_id: thread.id,
                session_name: thread.title,
                summary: thread.summary,
                messages,
            })
        };
        match read.await {
            Err(Error::Refused(fault)) if fault.reason == confab_rpc::Reason::ThreadNotFound => {
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// A file of the run's thread.
    async fn attachment(&self, run: &Run, name: &str) -> Result<Attachment, Error> {
        let file = self.engine.backends.attachment(run.user_id, name).await?;
        if file.thread_id == run.thread_id.to_string() {
            Ok(file)
        } else {
            Err(Error::AttachmentNotFound)
        }
    }
}

#[tonic::async_trait]
impl AgentContext for AgentContextService {
    type ReadAttachmentStream = BoxStream<'static, Result<AttachmentChunk, Status>>;

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let run = self.run(&request).await?;
        let span = Span {
            user_id: run.user_id,
            thread_id: run.thread_id,
            after_seq: 0,
            // The question comes right before its answer.
            before_seq: run.answer_seq.map_or(0, |seq| seq - 1),
        };
        let limit = MESSAGES.of(request.get_ref().limit);
        let messages = self.last_messages(span, limit).await?;
        Ok(Response::new(ListMessagesResponse { messages }))
    }

    async fn list_previous_sessions(
        &self,
        request: Request<ListPreviousSessionsRequest>,
    ) -> Result<Response<ListPreviousSessionsResponse>, Status> {
        let run = self.run(&request).await?;
        let sessions = self.previous_sessions(&run, request.into_inner()).await?;
        Ok(Response::new(ListPreviousSessionsResponse { sessions }))
    }

    async fn get_summary(
        &self,
        request: Request<GetSummaryRequest>,
    ) -> Result<Response<Summary>, Status> {
        let run = self.run(&request).await?;
        let thread = self
            .engine
            .backends
            .thread(run.user_id, run.thread_id)
            .await?;
        Ok(Response::new(Summary {
            text: thread.summary,
        }))
    }

    async fn list_attachments(
        &self,
        request: Request<ListAttachmentsRequest>,
    ) -> Result<Response<ListAttachmentsResponse>, Status> {
        let run = self.run(&request).await?;
        let files = self
            .engine
            .backends
            .attachments(run.user_id, run.thread_id)
            .await?;
        Ok(Response::new(ListAttachmentsResponse {
            attachments: files.into_iter().map(context_attachment).collect(),
        }))
    }

    async fn read_attachment(
        &self,
        request: Request<ReadAttachmentRequest>,
    ) -> Result<Response<Self::ReadAttachmentStream>, Status> {
        let run = self.run(&request).await?;
        let file = self.attachment(&run, &request.get_ref().name).await?;
        let download = self
            .engine
            .backends
            .download(run.user_id, file.name)
            .await?;
        let chunks = download.try_filter_map(|part| async { Ok(chunk(part)) });
        Ok(Response::new(chunks.boxed()))
    }
}

fn context_message(message: Message) -> ContextMessage {
    ContextMessage {
        role: match role(&message) {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System => "system",
        }
        .to_owned(),
        content: message.content,
        file_names: message
            .attachments
            .into_iter()
            .map(|file| file.name)
            .collect(),
        created_at: message.created_at,
    }
}

fn context_attachment(file: Attachment) -> ContextAttachment {
    ContextAttachment {
        name: file.name,
        original_name: file.original_name,
        content_type: file.content_type,
        size: file.size,
    }
}

fn chunk(part: DownloadResponse) -> Option<AttachmentChunk> {
    match part.part {
        Some(download_response::Part::Chunk(data)) => Some(AttachmentChunk { data }),
        Some(download_response::Part::Header(_)) | None => None,
    }
}
