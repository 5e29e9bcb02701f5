//! The clients of the services behind the gateway.

use std::sync::Arc;
use std::time::Duration;

use confab_rpc::Lane;
use confab_rpc::attachments::attachments_client::AttachmentsClient;
use confab_rpc::completions::completions_client::CompletionsClient;
use confab_rpc::search::search_client::SearchClient;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::threads::people_client::PeopleClient;
use confab_rpc::threads::threads_client::ThreadsClient;

/// An upload is answered when its last byte is stored, so it may take as long as the slowest client that is let in.
const UPLOAD_DEADLINE: Duration = Duration::from_mins(15);

/// A model may think about a whole answer, or read a thousand texts, before its first byte is there.
const MODEL_DEADLINE: Duration = Duration::from_mins(10);

/// What a model's answer may take, in bytes: 2048 vectors of 3072 numbers.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// What a page of a log may take, in bytes: `ReadRecent` has up to 2000 entries of 16 KiB.
const LOG_BYTES: usize = 64 * 1024 * 1024;

/// How every service is reached. Cloning is cheap, and small, as each socket has one; each accessor gives a client of its own.
#[derive(Clone)]
pub struct Backends(Arc<Clients>);

struct Clients {
    sessions: SessionsClient<Lane>,
    threads: ThreadsClient<Lane>,
    people: PeopleClient<Lane>,
    attachments: AttachmentsClient<Lane>,
    uploads: AttachmentsClient<Lane>,
    completions: CompletionsClient<Lane>,
    models: CompletionsClient<Lane>,
    search: SearchClient<Lane>,
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends").finish_non_exhaustive()
    }
}

impl Backends {
    /// Clients over the given lanes. Uploads get a longer deadline than their lane has.
    #[must_use]
    pub fn new(
        sessions: Lane,
        threads: Lane,
        attachments: Lane,
        completions: Lane,
        search: Lane,
    ) -> Self {
        Self(Arc::new(Clients {
            sessions: SessionsClient::new(sessions),
            people: PeopleClient::new(threads.clone()).max_decoding_message_size(LOG_BYTES),
            threads: ThreadsClient::new(threads),
            uploads: AttachmentsClient::new(attachments.with_deadline(UPLOAD_DEADLINE)),
            attachments: AttachmentsClient::new(attachments),
            models: CompletionsClient::new(completions.with_deadline(MODEL_DEADLINE))
                .max_decoding_message_size(ANSWER_BYTES),
            completions: CompletionsClient::new(completions),
            search: SearchClient::new(search),
        }))
    }

    pub(crate) fn sessions(&self) -> SessionsClient<Lane> {
        self.0.sessions.clone()
    }

    pub(crate) fn threads(&self) -> ThreadsClient<Lane> {
        self.0.threads.clone()
    }

    /// Threads between people; on the lane of `threads`.
    pub(crate) fn people(&self) -> PeopleClient<Lane> {
        self.0.people.clone()
    }

    pub(crate) fn attachments(&self) -> AttachmentsClient<Lane> {
        self.0.attachments.clone()
    }

    /// Attachments, with time for a whole upload.
    pub(crate) fn uploads(&self) -> AttachmentsClient<Lane> {
        self.0.uploads.clone()
    }

    pub(crate) fn completions(&self) -> CompletionsClient<Lane> {
        self.0.completions.clone()
    }

    /// Completions, with time for a model to answer and room for what it says.
    pub(crate) fn models(&self) -> CompletionsClient<Lane> {
        self.0.models.clone()
    }

    pub(crate) fn search(&self) -> SearchClient<Lane> {
        self.0.search.clone()
    }
}
