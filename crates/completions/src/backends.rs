//! The services that an ask needs, over their lanes. A refusal comes back as [`Error::Refused`]; what a refusal means
//! is decided by the callers.

use confab_rpc::attachments::attachments_client::AttachmentsClient;
use confab_rpc::attachments::{
    Attachment, DeleteAttachmentRequest, DownloadRequest, DownloadResponse, GetAttachmentRequest,
    ListAttachmentsRequest, SignRequest, SignedQuery, download_request, get_attachment_request,
};
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::{
    Account, GetAccountRequest, GetUserRequest, ReserveRequest, SettleRequest, Settlement, User,
    get_user_request,
};
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_rpc::threads::{
    AppendExchangeRequest, CheckpointRequest, DeleteThreadRequest, Exchange, FinishRequest,
    GetMessageRequest, GetThreadRequest, ListMessagesRequest, ListMessagesResponse,
    ListThreadsRequest, Message, ReplaceSummaryRequest, Thread, ThreadKind,
};
use confab_rpc::{Fault, Lane, Reason};
use tonic::{Response, Status, Streaming};
use uuid::Uuid;

use crate::error::Error;

/// How the services that completions needs are reached.
#[derive(Clone)]
pub struct Lanes {
    /// Users and money.
    pub sessions: Lane,
    /// Threads and messages.
    pub threads: Lane,
    /// Files.
    pub attachments: Lane,
}

/// Their clients.
#[derive(Clone)]
pub(crate) struct Backends {
    sessions: SessionsClient<Lane>,
    threads: ThreadsClient<Lane>,
    attachments: AttachmentsClient<Lane>,
}

impl Backends {
    pub(crate) fn new(lanes: Lanes) -> Self {
        Self {
            sessions: SessionsClient::new(lanes.sessions),
            threads: ThreadsClient::new(lanes.threads),
            attachments: AttachmentsClient::new(lanes.attachments),
        }
    }

    pub(crate) async fn user(&self, user_id: Uuid) -> Result<User, Error> {
        let by = Some(get_user_request::By::Id(user_id.to_string()));
        inner(self.sessions.clone().get_user(GetUserRequest { by }).await)
    }

    pub(crate) async fn account(&self, user_id: Uuid) -> Result<Account, Error> {
        let request = GetAccountRequest {
            user_id: user_id.to_string(),
        };
        inner(self.sessions.clone().get_account(request).await)
    }

    /// Sets money aside and says how much.
    pub(crate) async fn reserve(&self, request: ReserveRequest) -> Result<i64, Error> {
        let reservation = inner(self.sessions.clone().reserve(request).await)?;
        Ok(reservation.amount_microdollars)
    }

    /// Ends a reservation; `None` when there is none.
    pub(crate) async fn settle(
        &self,
        run_id: Uuid,
        cost_microdollars: i64,
    ) -> Result<Option<Settlement>, Error> {
        let request = SettleRequest {
            run_id: run_id.to_string(),
            cost_microdollars,
        };
        let settled = inner(self.sessions.clone().settle(request).await);
        unless(settled, &[Reason::ReservationNotFound])
    }

    pub(crate) async fn thread(&self, user_id: Uuid, thread_id: Uuid) -> Result<Thread, Error> {
        let request = GetThreadRequest {
            user_id: user_id.to_string(),
            thread_id: thread_id.to_string(),
            ..GetThreadRequest::default()
        };
        inner(self.threads.clone().get_thread(request).await)
    }

    /// The user's AI threads, the last active first.
    pub(crate) async fn threads(&self, user_id: Uuid, limit: u32) -> Result<Vec<Thread>, Error> {
        let request = ListThreadsRequest {
            user_id: user_id.to_string(),
            kind: ThreadKind::Assistant.into(),
            limit,
            before_id: String::new(),
        };
        let listed = inner(self.threads.clone().list_threads(request).await)?;
        Ok(listed.threads)
    }

    pub(crate) async fn append(&self, request: AppendExchangeRequest) -> Result<Exchange, Error> {
        inner(self.threads.clone().append_exchange(request).await)
    }

    pub(crate) async fn checkpoint(&self, request: CheckpointRequest) -> Result<Message, Error> {
        inner(self.threads.clone().checkpoint(request).await)
    }

    /// Ends an answer as its text stands; `None` when it is gone.
    pub(crate) async fn finish(&self, request: FinishRequest) -> Result<Option<Message>, Error> {
        let finished = inner(self.threads.clone().finish(request).await);
        unless(finished, GONE)
    }

    /// A message with its text from this byte on.
    pub(crate) async fn message(
        &self,
        user_id: Uuid,
        message_id: i64,
        content_from: usize,
    ) -> Result<Message, Error> {
        let request = GetMessageRequest {
            user_id: user_id.to_string(),
            message_id,
            content_from: i64::try_from(content_from).unwrap_or(i64::MAX),
        };
        inner(self.threads.clone().get_message(request).await)
    }

    pub(crate) async fn messages(
        &self,
        request: ListMessagesRequest,
    ) -> Result<ListMessagesResponse, Error> {
        inner(self.threads.clone().list_messages(request).await)
    }

    /// Removes a thread; it may be gone already.
    pub(crate) async fn delete_thread(&self, user_id: Uuid, thread_id: Uuid) -> Result<(), Error> {
        let request = DeleteThreadRequest {
            user_id: user_id.to_string(),
            thread_id: thread_id.to_string(),
        };
        let deleted = inner(self.threads.clone().delete_thread(request).await);
        unless(deleted, GONE).map(drop)
    }

    pub(crate) async fn replace_summary(
        &self,
        request: ReplaceSummaryRequest,
    ) -> Result<Thread, Error> {
        inner(self.threads.clone().replace_summary(request).await)
    }

    /// The user's file that is served under this name.
    pub(crate) async fn attachment(&self, user_id: Uuid, name: &str) -> Result<Attachment, Error> {
        let request = GetAttachmentRequest {
            user_id: user_id.to_string(),
            by: Some(get_attachment_request::By::Name(name.to_owned())),
        };
        inner(self.attachments.clone().get_attachment(request).await)
    }

    /// The user's files of a thread, oldest first.
    pub(crate) async fn attachments(
        &self,
        user_id: Uuid,
        thread_id: Uuid,
    ) -> Result<Vec<Attachment>, Error> {
        let request = ListAttachmentsRequest {
            user_id: user_id.to_string(),
            thread_id: thread_id.to_string(),
            ..Default::default()
        };
        let listed = inner(self.attachments.clone().list_attachments(request).await)?;
        Ok(listed.attachments)
    }

    /// What lets anyone read one file for a while.
    pub(crate) async fn sign(
        &self,
        user_id: Uuid,
        id: String,
        lifetime_seconds: u32,
    ) -> Result<SignedQuery, Error> {
        let request = SignRequest {
            user_id: user_id.to_string(),
            id,
            lifetime_seconds,
        };
        inner(self.attachments.clone().sign(request).await)
    }

    /// The user's file, as its owner reads it.
    pub(crate) async fn download(
        &self,
        user_id: Uuid,
        name: String,
    ) -> Result<Streaming<DownloadResponse>, Error> {
        let request = DownloadRequest {
            name,
            access: Some(download_request::Access::UserId(user_id.to_string())),
            offset: 0,
            length: 0,
        };
        inner(self.attachments.clone().download(request).await)
    }

    /// Removes a file; it may be gone already.
    pub(crate) async fn delete_attachment(&self, user_id: Uuid, id: String) -> Result<(), Error> {
        let request = DeleteAttachmentRequest {
            user_id: user_id.to_string(),
            id,
        };
        let deleted = inner(self.attachments.clone().delete_attachment(request).await);
        unless(deleted, &[Reason::AttachmentNotFound]).map(drop)
    }
}

/// How threads says that a message or its thread was removed.
pub(crate) const GONE: &[Reason] = &[Reason::MessageNotFound, Reason::ThreadNotFound];

fn inner<T>(reply: Result<Response<T>, Status>) -> Result<T, Error> {
    match reply {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) => Err(Fault::from(status).into()),
    }
}

/// `None` when it was refused for one of these reasons.
fn unless<T>(reply: Result<T, Error>, reasons: &[Reason]) -> Result<Option<T>, Error> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(error)
            if error
                .reason()
                .is_some_and(|reason| reasons.contains(&reason)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
