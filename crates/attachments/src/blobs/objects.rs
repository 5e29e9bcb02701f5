//! Bytes in a bucket of S3 or of something that speaks like it.
//!
//! ```text
//! attachments/ab/abcd…     files, by id without dashes
//! attachments/trial        written and removed at each start
//! ```
//!
//! How an object is sent is in `sending`.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use confab_runtime::Tasks;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload,
    RetryConfig,
};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::sending::Upload;
use super::{Blobs, Incoming, PIECE_BYTES, Pieces, wrong_size};
use crate::name::FileName;
use crate::settings::S3;

/// All objects are below it.
const PREFIX: &str = "attachments";
/// How long the store may be silent. A whole download may take as long as its reader likes.
const SILENCE: Duration = Duration::from_secs(30);
/// Objects removed at a time.
const REMOVALS: usize = 16;
const CONNECT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(20);

/// A bucket.
#[derive(Debug)]
pub(super) struct Objects {
    bucket: Arc<AmazonS3>,
    tasks: Tasks,
}

impl Objects {
    /// Tries whether objects can be written and removed.
    pub(super) async fn open(settings: &S3, tasks: Tasks) -> io::Result<Self> {
        let bucket = connect(settings).map_err(to_io)?;
        let trial = Path::from_iter([PREFIX, "trial"]);
        let payload = PutPayload::from_static(b"trial");
        bucket.put(&trial, payload).await.map_err(to_io)?;
        bucket.delete(&trial).await.map_err(to_io)?;
        Ok(Self {
            bucket: Arc::new(bucket),
            tasks,
        })
    }
}

fn connect(settings: &S3) -> object_store::Result<AmazonS3> {
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled()
        .with_read_timeout(SILENCE)
        .with_allow_http(settings.allow_http);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        .with_client_options(client)
        // Not every store knows the request that removes many objects.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 3,
            retry_timeout: RETRY,
        });
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(&settings.endpoint);
    }
    if !settings.access_key_id.is_empty() {
        builder = builder
            .with_access_key_id(&settings.access_key_id)
            .with_secret_access_key(settings.secret_access_key.expose_secret());
    }
    builder.build()
}

#[async_trait::async_trait]
impl Blobs for Objects {
    async fn begin(&self, id: Uuid) -> io::Result<Box<dyn Incoming>> {
        let (bucket, tasks) = (Arc::clone(&self.bucket), self.tasks.clone());
        Ok(Box::new(Upload::begin(bucket, path(id), tasks)))
    }

    async fn read(&self, id: Uuid, size: u64, range: Range<u64>) -> io::Result<Pieces> {
        let options = GetOptions {
            head: range.is_empty(),
            range: (!range.is_empty() && range != (0..size)).then_some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let nothing = options.head;
        let found = self.bucket.get_opts(&path(id), options).await;
        let found = found.map_err(to_io)?;
        if found.meta.size != size {
            return Err(wrong_size());
        }
        if nothing {
            return Ok(stream::empty().boxed());
        }
        let pieces = found
            .into_stream()
            .map_ok(|bytes| stream::iter(cut(bytes).map(Ok)))
            .try_flatten()
            .map_err(to_io);
        Ok(pieces.boxed())
    }

    async fn remove(&self, ids: Vec<Uuid>) {
        let removing = stream::iter(ids).map(|id| async move {
            remove(&self.bucket, &path(id)).await;
        });
        removing.buffer_unordered(REMOVALS).collect::<()>().await;
    }

    async fn older(&self, first: u8, before: SystemTime) -> io::Result<Vec<Uuid>> {
        let before = DateTime::<Utc>::from(before);
        let branch = branch(first);
        let listed = self.bucket.list(Some(&branch));
        let old = listed.try_filter_map(|object| async move {
            let name = object.location.filename().and_then(FileName::parse);
            Ok(name
                .filter(|name| object.last_modified < before && object.location == path(name.id))
                .map(|name| name.id))
        });
        old.try_collect().await.map_err(to_io)
    }

    /// The store does not list them; a lifecycle rule of the bucket ends them.
    async fn clear_unfinished(&self, _before: SystemTime) -> io::Result<usize> {
        Ok(0)
    }
}

pub(super) async fn remove(bucket: &AmazonS3, path: &Path) {
    match bucket.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => tracing::warn!(%error, "an object without a row is left"),
    }
}

fn branch(first: u8) -> Path {
    Path::from_iter([PREFIX, &format!("{first:02x}")])
}

fn path(id: Uuid) -> Path {
    let [first, ..] = id.into_bytes();
    branch(first).join(id.simple().to_string())
}

fn cut(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(PIECE_BYTES)))
    })
}

pub(super) fn to_io(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
        error => io::Error::other(error),
    }
}
