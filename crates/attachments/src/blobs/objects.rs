//! Bytes in a bucket of S3 or of something that speaks like it.
//!
//! ```text
//! attachments/ab/abcd…     files, by id without dashes
//! attachments/trial        written and removed at each start
//! ```
//!
//! An object is visible only when it is whole. A small file is sent in one request; a larger one in parts, of which one
//! at a time is in memory.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use confab_runtime::Tasks;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, MultipartId, ObjectStore, ObjectStoreExt,
    PutPayload, RetryConfig,
};
use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Blobs, Incoming, PIECE_BYTES, Pieces, wrong_size};
use crate::name::FileName;
use crate::settings::S3;

/// All objects are below it.
const PREFIX: &str = "attachments";
/// Bytes of each part but the last: the least that S3 takes. All are of one size, because some stores insist on it.
const PART_BYTES: usize = 5 * 1024 * 1024;
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
        Ok(Box::new(Upload {
            bucket: Arc::clone(&self.bucket),
            tasks: self.tasks.clone(),
            path: path(id),
            rest: BytesMut::new(),
            parts: Parts::default(),
            visible: false,
        }))
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

/// An object that is being sent. Dropped unfinished, what is there of it is removed.
struct Upload {
    bucket: Arc<AmazonS3>,
    tasks: Tasks,
    path: Path,
    /// What is not sent yet: less than a part, between calls.
    rest: BytesMut,
    parts: Parts,
    /// Whether the object may have become visible.
    visible: bool,
}

#[derive(Default)]
struct Parts {
    /// Of an upload in parts; none while the file is small.
    upload: Option<MultipartId>,
    sent: Vec<PartId>,
}

impl Upload {
    async fn send_part(&mut self, part: Bytes) -> io::Result<()> {
        let upload = if let Some(upload) = &self.parts.upload {
            upload
        } else {
            let upload = self.create().await?;
            self.parts.upload.insert(upload)
        };
        let index = self.parts.sent.len();
        let sent = self
            .bucket
            .put_part(&self.path, upload, index, part.into())
            .await;
        self.parts.sent.push(sent.map_err(to_io)?);
        Ok(())
    }

    /// Begins an upload in parts, in a task of its own: nobody could abort one whose id never came back.
    async fn create(&self) -> io::Result<MultipartId> {
        let (tell, told) = oneshot::channel();
        let (bucket, path) = (Arc::clone(&self.bucket), self.path.clone());
        self.tasks.spawn("begin an upload in parts", async move {
            let created = bucket.create_multipart(&path).await;
            if let Err(Ok(unwanted)) = tell.send(created) {
                abort(&bucket, &path, &unwanted).await;
            }
        });
        told.await.map_err(io::Error::other)?.map_err(to_io)
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        let rest = PutPayload::from(self.rest.split().freeze());
        let Some(upload) = &self.parts.upload else {
            self.bucket.put(&self.path, rest).await?;
            return Ok(());
        };
        if rest.content_length() > 0 {
            let index = self.parts.sent.len();
            let sent = self.bucket.put_part(&self.path, upload, index, rest).await;
            self.parts.sent.push(sent?);
        }
        let parts = std::mem::take(&mut self.parts.sent);
        self.bucket
            .complete_multipart(&self.path, upload, parts)
            .await?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Incoming for Upload {
    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.rest.extend_from_slice(&piece);
        while self.rest.len() >= PART_BYTES {
            let part = self.rest.split_to(PART_BYTES).freeze();
            self.send_part(part).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>, size: u64, _at: SystemTime) -> io::Result<()> {
        self.visible = true;
        self.complete().await.map_err(to_io)?;
        let stored = self.bucket.head(&self.path).await.map_err(to_io)?;
        if stored.size != size {
            return Err(wrong_size());
        }
        self.parts.upload = None;
        self.visible = false;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let upload = self.parts.upload.take();
        if upload.is_none() && !self.visible {
            return;
        }
        let (bucket, path, visible) = (Arc::clone(&self.bucket), self.path.clone(), self.visible);
        self.tasks.spawn("remove an unfinished object", async move {
            if let Some(upload) = upload {
                abort(&bucket, &path, &upload).await;
            }
            if visible {
                // A request that is still on its way may make it again; then it is swept.
                remove(&bucket, &path).await;
            }
        });
    }
}

async fn abort(bucket: &AmazonS3, path: &Path, upload: &MultipartId) {
    match bucket.abort_multipart(path, upload).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => tracing::warn!(%error, "an unfinished upload is left in the bucket"),
    }
}

async fn remove(bucket: &AmazonS3, path: &Path) {
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

fn to_io(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
        error => io::Error::other(error),
    }
}
