//! A file on its way in: counted, hashed and looked at while it is written.

use std::pin::pin;

use bytes::Bytes;
use chrono::TimeDelta;
use confab_rpc::attachments::UploadRequest;
use confab_rpc::attachments::upload_request::{Commit, Part};
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout};
use tonic::Status;
use uuid::Uuid;

use crate::blobs::{Blobs, Incoming};
use crate::content_type::Sniffer;
use crate::error::Error;
use crate::name::{FileName, sanitise};
use crate::pace::Pace;
use crate::service::{Service, parse};
use crate::store::Attachment;

/// Bytes of one chunk, at most.
const MAX_CHUNK_BYTES: usize = 64 * 1024;
/// Who may read one file besides its owner, at most.
const MAX_READERS: usize = 100;
/// How long a file without a thread waits for a message to carry it.
const UNKEPT: TimeDelta = TimeDelta::hours(24);

impl Service {
    /// Takes a file in. Its bytes are durable before it has a row, and it has a row before anybody hears of it.
    pub(crate) async fn receive(
        &self,
        parts: impl Stream<Item = Result<UploadRequest, Status>> + Send,
    ) -> Result<Attachment, Error> {
        let mut parts = pin!(parts);
        let mut pace = Pace::new(self.min_bytes_per_second);
        let mut upload = Upload::begin(self.blobs.as_ref(), self.max_file_bytes).await?;
        while let Some(part) = next(&mut parts, &mut pace).await? {
            match part {
                Part::Chunk(chunk) => upload.write(chunk.into()).await?,
                Part::Commit(commit) => return self.commit(upload, &commit).await,
            }
        }
        Err(Error::Invalid("the upload ended without a commit"))
    }

    async fn commit(&self, upload: Upload, commit: &Commit) -> Result<Attachment, Error> {
        let readers = readers(commit)?;
        let attachment = self.describe(&upload, commit)?;
        let at = attachment.created_at.into();
        upload.incoming.finish(upload.size, at).await?;
        #[cfg(feature = "faults")]
        fail::fail_point!("after_blob_before_row");
        // From here on the row may exist even if no answer comes. A file too many is swept, a file too few is a loss.
        let id = attachment.id;
        let inserted = self.store.insert(attachment, &readers, self.quota_bytes);
        let inserted = inserted.await;
        if let Err(Error::QuotaExceeded { .. }) = inserted {
            self.blobs.remove(vec![id]).await;
        }
        inserted
    }

    /// What is known of a file that has arrived.
    fn describe(&self, upload: &Upload, commit: &Commit) -> Result<Attachment, Error> {
        let now = self.clock.now();
        let original_name = sanitise(&commit.original_name);
        let name = FileName::new(upload.id, &original_name);
        let content_type = upload
            .sniffer
            .content_type(name.extension.as_deref(), &commit.declared_type);
        let thread_id = thread(&commit.thread_id)?;
        Ok(Attachment {
            id: upload.id,
            name: name.to_string(),
            owner_id: parse(&commit.owner_id).ok_or(Error::Invalid("owner_id is not a UUID"))?,
            thread_id: thread_id.unwrap_or_default(),
            original_name,
            content_type: content_type.to_owned(),
            size: i64::try_from(upload.size).map_err(|_| Error::TooLarge {
                limit: self.max_file_bytes,
            })?,
            sha256: upload.sha256(),
            created_at: now,
            reap_at: thread_id.is_none().then(|| now + UNKEPT),
        })
    }
}

/// The next part, unless it comes too slowly.
async fn next(
    parts: &mut (impl Stream<Item = Result<UploadRequest, Status>> + Unpin),
    pace: &mut Pace,
) -> Result<Option<Part>, Error> {
    let next = loop {
        let Some(patience) = pace.patience() else {
            break parts.next().await;
        };
        let began = Instant::now();
        match timeout(patience, parts.next()).await {
            Ok(next) => {
                pace.record(began.elapsed(), length(next.as_ref()))?;
                break next;
            }
            Err(_) => pace.record(patience, 0)?,
        }
    };
    let Some(part) = next else {
        return Ok(None);
    };
    let part = part.map_err(Error::Interrupted)?.part;
    let part = part.ok_or(Error::Invalid("a part of the upload is empty"))?;
    Ok(Some(part))
}

fn length(next: Option<&Result<UploadRequest, Status>>) -> u64 {
    match next {
        Some(Ok(UploadRequest {
            part: Some(Part::Chunk(chunk)),
        })) => chunk.len() as u64,
        _ => 0,
    }
}

/// The thread of a file; none when the id is empty.
fn thread(id: &str) -> Result<Option<Uuid>, Error> {
    if id.is_empty() {
        return Ok(None);
    }
    let id = parse(id).filter(|id| !id.is_nil());
    id.map(Some)
        .ok_or(Error::Invalid("thread_id is not a UUID"))
}

/// Who may read a file besides its owner, each once.
fn readers(commit: &Commit) -> Result<Vec<Uuid>, Error> {
    if commit.reader_ids.len() > MAX_READERS {
        return Err(Error::Invalid("there are more than 100 readers"));
    }
    let readers = commit.reader_ids.iter().map(|id| parse(id));
    let readers: Option<Vec<_>> = readers.collect();
    let mut readers = readers.ok_or(Error::Invalid("a reader is not a UUID"))?;
    readers.sort_unstable();
    readers.dedup();
    Ok(readers)
}

/// A file on its way in. Dropped, it leaves nothing.
struct Upload {
    id: Uuid,
    incoming: Box<dyn Incoming>,
    size: u64,
    limit: u64,
    digest: Sha256,
    sniffer: Sniffer,
}

impl Upload {
    /// Begins a file of at most `limit` bytes.
    async fn begin(blobs: &dyn Blobs, limit: u64) -> Result<Self, Error> {
        // Not a UUIDv7: in open mode the name is the credential, so nothing about it may be guessed.
        let id = Uuid::new_v4();
        Ok(Self {
            id,
            incoming: blobs.begin(id).await?,
            size: 0,
            limit,
            digest: Sha256::new(),
            sniffer: Sniffer::default(),
        })
    }

    /// Takes the next chunk in.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        if chunk.len() > MAX_CHUNK_BYTES {
            return Err(Error::Invalid("a chunk is larger than 64 KiB"));
        }
        self.size += chunk.len() as u64;
        if self.size > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.digest.update(&chunk);
        self.sniffer.feed(&chunk);
        self.incoming.write(chunk).await?;
        Ok(())
    }

    /// The SHA-256 of what came in, in lower-case hexadecimal.
    fn sha256(&self) -> String {
        let digest = self.digest.clone().finalize();
        format!("{:x}", Bytes::copy_from_slice(&digest))
    }
}
