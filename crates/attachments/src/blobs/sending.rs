//! An object on its way into a bucket.
//!
//! An object is visible only when it is whole. A small file is sent in one request; a larger one in parts, of which one
//! at a time is in memory.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use confab_runtime::Tasks;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt, PutPayload};
use tokio::sync::oneshot;

use super::objects::{remove, to_io};
use super::{Incoming, wrong_size};

/// Bytes of each part but the last: the least that S3 takes. All are of one size, because some stores insist on it.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// An object that is being sent. Dropped unfinished, what is there of it is removed.
pub(super) struct Upload {
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
    pub(super) fn begin(bucket: Arc<AmazonS3>, path: Path, tasks: Tasks) -> Self {
        Self {
            bucket,
            tasks,
            path,
            rest: BytesMut::new(),
            parts: Parts::default(),
            visible: false,
        }
    }

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
