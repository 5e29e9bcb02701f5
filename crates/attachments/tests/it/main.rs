//! The attachments service through its client, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod download;
mod open;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use confab_attachments::{Service, Settings};
use confab_database::Database;
use confab_database::scratch::{Scratch, settings};
use confab_migrations::attachments::Migrator;
use confab_rpc::attachments::attachments_client::AttachmentsClient;
use confab_rpc::attachments::attachments_server::AttachmentsServer;
use confab_rpc::attachments::download_request::Access;
use confab_rpc::attachments::download_response::Part as Down;
use confab_rpc::attachments::upload_request::{Commit, Part as Up};
use confab_rpc::attachments::{Attachment, DownloadRequest, UploadRequest};
use confab_rpc::{Fault, Lane, Reason};
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, SystemClock, Tasks};
use futures_util::{Stream, stream};
use tempfile::TempDir;
use tonic::Status;

const OWNER: &str = "018f0000-0000-7000-8000-000000000001";
const STRANGER: &str = "018f0000-0000-7000-8000-000000000002";
const THREAD: &str = "018f0000-0000-7000-8000-00000000000a";
const OTHER_THREAD: &str = "018f0000-0000-7000-8000-00000000000b";

/// The service with a database, a directory and a clock of its own.
struct House {
    client: AttachmentsClient<Lane>,
    clock: ManualClock,
    tasks: Tasks,
    folder: TempDir,
    database: Database,
    _scratch: Scratch,
}

impl House {
    /// One on each database.
    async fn both() -> Vec<Self> {
        let mut houses = Vec::new();
        for scratch in Scratch::both().await {
            houses.push(Self::build(scratch).await);
        }
        houses
    }

    async fn build(scratch: Scratch) -> Self {
        let database = scratch.database.clone();
        database.migrate::<Migrator>().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(SystemClock.now());
        let tasks = Tasks::new();
        let settings = settings_in(folder.path().join("files"));
        let service = Service::open(
            database.clone(),
            &settings,
            Arc::new(clock.clone()),
            tasks.clone(),
        )
        .await
        .unwrap();
        Self {
            client: client(service),
            clock,
            tasks,
            folder,
            database,
            _scratch: scratch,
        }
    }

    fn client(&self) -> AttachmentsClient<Lane> {
        self.client.clone()
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Attachment {
        let parts = parts(bytes, commit(THREAD, name, ""));
        self.client().upload(parts).await.unwrap().into_inner()
    }

    /// The file's header and bytes.
    async fn download(&self, request: DownloadRequest) -> Result<(Attachment, Vec<u8>), Status> {
        let mut response = self.client().download(request).await?.into_inner();
        let Some(Down::Header(header)) = response.message().await?.unwrap().part else {
            panic!("the header comes first");
        };
        let mut bytes = Vec::new();
        while let Some(part) = response.message().await? {
            let Some(Down::Chunk(chunk)) = part.part else {
                panic!("one header and then bytes");
            };
            assert!((1..=64 * 1024).contains(&chunk.len()), "{}", chunk.len());
            bytes.extend(chunk);
        }
        Ok((header, bytes))
    }

    /// How many files there are below the directory, once nothing is under way any more.
    async fn files(&self) -> usize {
        assert!(self.tasks.stop(Duration::from_secs(10)).await);
        let mut folders = vec![self.folder.path().to_owned()];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    count += 1;
                }
            }
        }
        count
    }
}

fn client(service: Service) -> AttachmentsClient<Lane> {
    let server = AttachmentsServer::new(service);
    AttachmentsClient::new(Lane::local(server, Duration::from_secs(30)))
}

fn settings_in(directory: PathBuf) -> Settings {
    Settings {
        database: settings("sqlite:unused"),
        directory,
        max_file_mib: 1,
    }
}

fn chunk(bytes: &[u8]) -> UploadRequest {
    UploadRequest {
        part: Some(Up::Chunk(bytes.to_vec())),
    }
}

fn commit(thread_id: &str, name: &str, declared_type: &str) -> UploadRequest {
    let commit = Commit {
        owner_id: OWNER.to_owned(),
        thread_id: thread_id.to_owned(),
        original_name: name.to_owned(),
        declared_type: declared_type.to_owned(),
    };
    UploadRequest {
        part: Some(Up::Commit(commit)),
    }
}

fn parts(
    bytes: &[u8],
    commit: UploadRequest,
) -> impl Stream<Item = UploadRequest> + Send + 'static {
    let mut parts: Vec<_> = bytes.chunks(64 * 1024).map(chunk).collect();
    parts.push(commit);
    stream::iter(parts)
}

fn by(access: Access, name: &str) -> DownloadRequest {
    DownloadRequest {
        name: name.to_owned(),
        access: Some(access),
        offset: 0,
        length: 0,
    }
}

fn by_owner(name: &str) -> DownloadRequest {
    by(Access::UserId(OWNER.to_owned()), name)
}

fn reason<T: std::fmt::Debug>(refused: Result<T, Status>) -> Reason {
    Fault::from(refused.unwrap_err()).reason
}
