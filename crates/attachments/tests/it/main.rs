//! The attachments service through its client, on SQLite and on PostgreSQL, with its bytes in a directory and in a bucket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod bucket;
mod download;
mod keep;
mod open;
mod parts;
mod quota;
mod upload;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use confab_attachments::{Place, S3, Service, Settings};
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

use bucket::Bucket;

const OWNER: &str = "018f0000-0000-7000-8000-000000000001";
const STRANGER: &str = "018f0000-0000-7000-8000-000000000002";
const THREAD: &str = "018f0000-0000-7000-8000-00000000000a";
const OTHER_THREAD: &str = "018f0000-0000-7000-8000-00000000000b";

/// The service with a database, a place for its bytes and a clock of its own.
struct House {
    client: AttachmentsClient<Lane>,
    clock: ManualClock,
    tasks: Tasks,
    bytes: Bytes,
    database: Database,
    _scratch: Scratch,
}

/// Where a house has its bytes, to be looked at from outside.
enum Bytes {
    Files(TempDir),
    S3(Bucket),
}

impl House {
    /// One on each database with each place for bytes.
    async fn all() -> Vec<Self> {
        Self::all_with(|_| {}).await
    }

    /// The same with other settings.
    async fn all_with(change: impl Fn(&mut Settings)) -> Vec<Self> {
        let mut houses = Vec::new();
        for place in [Place::Files, Place::S3] {
            for scratch in Scratch::both().await {
                houses.push(Self::build(scratch, place, &change).await);
            }
        }
        houses
    }

    async fn build(scratch: Scratch, place: Place, change: impl Fn(&mut Settings)) -> Self {
        let database = scratch.database.clone();
        database.migrate::<Migrator>().await.unwrap();
        let bytes = match place {
            Place::Files => Bytes::Files(tempfile::tempdir().unwrap()),
            Place::S3 => Bytes::S3(Bucket::start().await),
        };
        let mut settings = bytes.settings();
        change(&mut settings);
        let clock = ManualClock::at(SystemClock.now());
        let tasks = Tasks::new();
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
            bytes,
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

    /// How many files there are, finished or not, once nothing is under way any more.
    async fn files(&self) -> usize {
        assert!(self.tasks.stop(Duration::from_secs(10)).await);
        match &self.bytes {
            Bytes::Files(folder) => count(folder.path()),
            Bytes::S3(bucket) => bucket.keys().len(),
        }
    }
}

impl Bytes {
    fn settings(&self) -> Settings {
        match self {
            Self::Files(folder) => settings_in(folder.path().join("files")),
            Self::S3(bucket) => Settings {
                store: Place::S3,
                s3: bucket.settings(),
                ..settings_in(PathBuf::new())
            },
        }
    }

    /// The bytes of a file as they are kept.
    fn of(&self, id: &str) -> Option<Vec<u8>> {
        match self {
            Self::Files(folder) => std::fs::read(path(folder, id)).ok(),
            Self::S3(bucket) => bucket.object(&key(id)),
        }
    }

    /// Makes the bytes of a file others, or loses them.
    fn replace(&self, id: &str, bytes: Option<&[u8]>) {
        match (self, bytes) {
            (Self::Files(folder), Some(bytes)) => std::fs::write(path(folder, id), bytes).unwrap(),
            (Self::Files(folder), None) => std::fs::remove_file(path(folder, id)).unwrap(),
            (Self::S3(bucket), bytes) => bucket.replace(&key(id), bytes),
        }
    }
}

fn path(folder: &TempDir, id: &str) -> PathBuf {
    let digits = id.replace('-', "");
    let files = folder.path().join("files");
    files.join(&digits[..2]).join(&digits[2..4]).join(&digits)
}

fn key(id: &str) -> String {
    let digits = id.replace('-', "");
    format!("attachments/{}/{digits}", &digits[..2])
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let counts = entries.map(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            count(&entry.path())
        } else {
            1
        }
    });
    counts.sum()
}

fn client(service: Service) -> AttachmentsClient<Lane> {
    let server = AttachmentsServer::new(service);
    AttachmentsClient::new(Lane::local(server, Duration::from_secs(30)))
}

fn settings_in(directory: PathBuf) -> Settings {
    Settings {
        database: settings("sqlite:unused"),
        store: Place::Files,
        directory,
        max_file_mib: 1,
        quota_mib: 0,
        min_upload_bytes_per_second: 0,
        s3: S3 {
            bucket: String::new(),
            endpoint: String::new(),
            region: String::new(),
            access_key_id: String::new(),
            secret_access_key: String::new().into(),
            allow_http: false,
        },
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
        ..Default::default()
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
