//! The services that a search needs, over their lanes.

use confab_rpc::completions::EmbedRequest;
use confab_rpc::completions::completions_client::CompletionsClient;
use confab_rpc::threads::threads_client::ThreadsClient;
use confab_rpc::threads::{
    GetMessagesRequest, GetThreadRequest, ListMessagesRequest, ListMessagesResponse,
    ListThreadsRequest, LocateRequest, Located, Message, Thread, ThreadKind, locate_request,
};
use confab_rpc::{Fault, Lane, Reason};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::error::Error;

/// How the services that search needs are reached.
#[derive(Clone)]
pub struct Lanes {
    /// Threads and messages.
    pub threads: Lane,
    /// Vectors; with time for a batch of them.
    pub completions: Lane,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

/// Threads of one user that are looked at, at most: the last active ones.
pub(crate) const THREADS: usize = 10_000;

/// Messages that are asked for by id at a time. Each may have 2 MiB.
pub(crate) const MESSAGES: usize = 20;

/// What a reply may take, in bytes: 10,000 threads, or a batch of vectors.
const REPLY_BYTES: usize = 16 * 1024 * 1024;

/// Their clients.
#[derive(Clone)]
pub(crate) struct Backends {
    threads: ThreadsClient<Lane>,
    completions: CompletionsClient<Lane>,
}

impl Backends {
    pub(crate) fn new(lanes: Lanes) -> Self {
        Self {
            threads: ThreadsClient::new(lanes.threads).max_decoding_message_size(REPLY_BYTES),
            completions: CompletionsClient::new(lanes.completions)
                .max_decoding_message_size(REPLY_BYTES),
        }
    }

    /// The user's threads with a model, the last active first; at most [`THREADS`].
    pub(crate) async fn threads(&self, user_id: Uuid) -> Result<Vec<Thread>, Error> {
        let request = ListThreadsRequest {
            user_id: user_id.to_string(),
            kind: ThreadKind::Assistant.into(),
            ..Default::default()
        };
        let listed = inner(self.threads.clone().list_threads(request).await)?;
        Ok(listed.threads)
    }

    /// One of them, without what may be long.
    pub(crate) async fn thread(&self, user_id: Uuid, thread_id: Uuid) -> Result<Thread, Error> {
        let request = GetThreadRequest {
            user_id: user_id.to_string(),
            thread_id: thread_id.to_string(),
            ..Default::default()
        };
        let mut thread = inner(self.threads.clone().get_thread(request).await)?;
        if thread.kind() != ThreadKind::Assistant {
            return Err(Error::ThreadNotFound);
        }
        thread.instructions.clear();
        thread.summary.clear();
        Ok(thread)
    }

    /// The same; `None` when it is gone.
    pub(crate) async fn thread_if_any(
        &self,
        user_id: Uuid,
        thread_id: Uuid,
    ) -> Result<Option<Thread>, Error> {
        unless_gone(self.thread(user_id, thread_id).await)
    }

    /// Messages of one of the user's threads after a place in it; `None` when the thread is gone.
    pub(crate) async fn messages(
        &self,
        user_id: Uuid,
        thread_id: Uuid,
        after_seq: i64,
        limit: u32,
    ) -> Result<Option<ListMessagesResponse>, Error> {
        let request = ListMessagesRequest {
            user_id: user_id.to_string(),
            thread_id: thread_id.to_string(),
            after_seq,
            limit,
            ..Default::default()
        };
        unless_gone(inner(self.threads.clone().list_messages(request).await))
    }

    /// Those of these messages that the user may read now. At most [`MESSAGES`].
    pub(crate) async fn readable(
        &self,
        user_id: Uuid,
        message_ids: &[i64],
    ) -> Result<Vec<Message>, Error> {
        let (mut left, mut readable) = (message_ids, Vec::new());
        loop {
            let request = GetMessagesRequest {
                user_id: user_id.to_string(),
                message_ids: left.to_vec(),
            };
            let page = inner(self.threads.clone().get_messages(request).await)?;
            let last = page.messages.last().filter(|_| page.more);
            let last = last.and_then(|last| left.iter().position(|id| *id == last.id));
            readable.extend(page.messages);
            match last {
                Some(last) => left = &left[last + 1..],
                None => return Ok(readable),
            }
        }
    }

    /// Where a thread of this number is now; `None` when there is none.
    pub(crate) async fn locate(&self, number: i64) -> Result<Option<Located>, Error> {
        let request = LocateRequest {
            by: Some(locate_request::By::Number(number)),
        };
        unless_gone(inner(self.threads.clone().locate(request).await))
    }

    /// A vector of each text, in their order. Nobody is charged.
    pub(crate) async fn embed(&self, model: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let request = EmbedRequest {
            model_name: model.to_owned(),
            inputs: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..Default::default()
        };
        let reply = self.completions.clone().embed(request).await;
        let embeddings = reply
            .map_err(|status| refused(model, status))?
            .into_inner()
            .embeddings;
        if embeddings.len() != texts.len() {
            return Err(Error::Vectors);
        }
        let vectors = embeddings.into_iter();
        Ok(vectors.map(|embedding| embedding.values).collect())
    }
}

fn refused(model: &str, status: Status) -> Error {
    let fault = Fault::from(status);
    match fault.reason {
        Reason::Invalid | Reason::ProviderRefused | Reason::ContextTooLong => Error::TextRefused,
        Reason::ModelNotFound => Error::Model(model.to_owned()),
        _ => Error::NoVectors(fault),
    }
}

fn inner<T>(reply: Result<Response<T>, Status>) -> Result<T, Error> {
    match reply {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) => Err(Fault::from(status).into()),
    }
}

fn unless_gone<T>(reply: Result<T, Error>) -> Result<Option<T>, Error> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(error) if error.is_thread_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
