//! Where the bytes of files are kept, each under its id: a directory or a bucket. What the bytes are and whose is not
//! known here.

mod files;
mod objects;
mod sending;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use confab_runtime::Tasks;
use futures_util::stream::BoxStream;
use uuid::Uuid;

use crate::error::OpenError;
use crate::settings::{Place, Settings};

use files::Files;
use objects::Objects;

/// Bytes of one piece of a download, at most.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes on their way out.
pub(crate) type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// A place for bytes. Replicas share it.
#[async_trait::async_trait]
pub(crate) trait Blobs: Debug + Send + Sync {
    /// Begins a file. Dropped before it is finished, it leaves nothing.
    async fn begin(&self, id: Uuid) -> io::Result<Box<dyn Incoming>>;

    /// The bytes of a range of a file that has `size` of them, in pieces of at most 64 KiB. A file that is gone is
    /// [`io::ErrorKind::NotFound`], one of another size [`io::ErrorKind::InvalidData`].
    async fn read(&self, id: Uuid, size: u64, range: Range<u64>) -> io::Result<Pieces>;

    /// Removes files whose rows are gone. What cannot be removed now is swept later.
    async fn remove(&self, ids: Vec<Uuid>);

    /// The finished files whose id starts with this byte and that are from before a time. Ids are random, so the 256
    /// answers are about equally long.
    async fn older(&self, first: u8, before: SystemTime) -> io::Result<Vec<Uuid>>;

    /// Removes what crashes left of files that were begun before a time and never finished; says how many.
    async fn clear_unfinished(&self, before: SystemTime) -> io::Result<usize>;
}

/// A file that is being written.
#[async_trait::async_trait]
pub(crate) trait Incoming: Send {
    /// Appends. An error may belong to an earlier piece.
    async fn write(&mut self, piece: Bytes) -> io::Result<()>;

    /// Makes the file durable under its id. Fails, and leaves nothing, unless exactly `size` bytes are there then. `at`
    /// is the age by which it is swept if it never gets a row, where the place does not have a clock of its own.
    async fn finish(self: Box<Self>, size: u64, at: SystemTime) -> io::Result<()>;
}

/// Opens the place that the settings name and tries whether it can be written.
pub(crate) async fn open(settings: &Settings, tasks: Tasks) -> Result<Arc<dyn Blobs>, OpenError> {
    match settings.store {
        Place::Files => {
            let directory = settings.directory.as_path();
            let files = Files::open(directory, tasks).await;
            let files = files.map_err(|source| OpenError::Directory {
                directory: directory.to_owned(),
                source,
            })?;
            Ok(Arc::new(files))
        }
        Place::S3 => {
            let objects = Objects::open(&settings.s3, tasks).await;
            let objects = objects.map_err(|source| OpenError::Bucket {
                bucket: settings.s3.bucket.clone(),
                source,
            })?;
            Ok(Arc::new(objects))
        }
    }
}

/// What is kept has another size than what was sent.
fn wrong_size() -> io::Error {
    let message = "a stored file has another size than it had when it was sent";
    io::Error::new(io::ErrorKind::InvalidData, message)
}
