//! A file on its way in: counted, hashed and looked at while it is written.

use std::pin::pin;

use bytes::Bytes;
use confab_rpc::attachments::UploadRequest;
use confab_rpc::attachments::upload_request::{Commit, Part};
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tonic::Status;
use uuid::Uuid;

use crate::content_type::Sniffer;
use crate::error::Error;
use crate::files::{Files, Staged};
use crate::name::{FileName, sanitise};
use crate::service::{Service, parse};
use crate::store::Attachment;

/// Bytes of one chunk, at most.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

impl Service {
    /// Takes a file in. Its bytes are durable before it has a row, and it has a row before anybody hears of it.
    pub(crate) async fn receive(
        &self,
        parts: impl Stream<Item = Result<UploadRequest, Status>>,
    ) -> Result<Attachment, Error> {
        let mut parts = pin!(parts);
        let mut upload = Upload::begin(&self.files, self.max_file_bytes).await?;
        while let Some(part) = parts.next().await {
            match part.map_err(Error::Interrupted)?.part {
                Some(Part::Chunk(chunk)) => upload.write(&chunk).await?,
                Some(Part::Commit(commit)) => return self.commit(upload.end(), &commit).await,
                None => return Err(Error::Invalid("a part of the upload is empty")),
            }
        }
        Err(Error::Invalid("the upload ended without a commit"))
    }

    async fn commit(&self, arrived: Arrived, commit: &Commit) -> Result<Attachment, Error> {
        // Not a UUIDv7: in open mode the name is the credential, so nothing about it may be guessed.
        let id = Uuid::new_v4();
        let now = self.clock.now();
        let original_name = sanitise(&commit.original_name);
        let name = FileName::new(id, &original_name);
        let content_type = arrived
            .sniffer
            .content_type(name.extension.as_deref(), &commit.declared_type);
        let attachment = Attachment {
            id,
            name: name.to_string(),
            owner_id: parse(&commit.owner_id).ok_or(Error::Invalid("owner_id is not a UUID"))?,
            thread_id: parse(&commit.thread_id).ok_or(Error::Invalid("thread_id is not a UUID"))?,
            original_name,
            content_type: content_type.to_owned(),
            size: i64::try_from(arrived.size).map_err(|_| Error::TooLarge {
                limit: self.max_file_bytes,
            })?,
            sha256: arrived.sha256,
            created_at: now,
        };
        let placed = self.files.place(arrived.staged, id, now.into()).await?;
        // From here on the row may exist even if no answer comes. A file too many is swept, a file too few is a loss.
        placed.keep();
        Ok(self.store.insert(attachment).await?)
    }
}

/// A file on its way in. Dropped, it leaves nothing.
struct Upload {
    staged: Staged,
    size: u64,
    limit: u64,
    digest: Sha256,
    sniffer: Sniffer,
}

/// A file that has arrived whole.
struct Arrived {
    /// Its bytes.
    staged: Staged,
    /// How many.
    size: u64,
    /// Their SHA-256, in lower-case hexadecimal.
    sha256: String,
    /// What they look like.
    sniffer: Sniffer,
}

impl Upload {
    /// Begins a file of at most `limit` bytes.
    async fn begin(files: &Files, limit: u64) -> Result<Self, Error> {
        Ok(Self {
            staged: files.stage().await?,
            size: 0,
            limit,
            digest: Sha256::new(),
            sniffer: Sniffer::default(),
        })
    }

    /// Takes the next chunk in.
    async fn write(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if chunk.len() > MAX_CHUNK_BYTES {
            return Err(Error::Invalid("a chunk is larger than 64 KiB"));
        }
        self.size += chunk.len() as u64;
        if self.size > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.digest.update(chunk);
        self.sniffer.feed(chunk);
        self.staged.write(chunk).await?;
        Ok(())
    }

    /// All chunks are in.
    fn end(self) -> Arrived {
        Arrived {
            staged: self.staged,
            size: self.size,
            sha256: format!("{:x}", Bytes::copy_from_slice(&self.digest.finalize())),
            sniffer: self.sniffer,
        }
    }
}
