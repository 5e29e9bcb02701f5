//! Bytes on disk: staged, made durable, read, removed.
//!
//! ```text
//! DIRECTORY/staging/<id>     uploads under way
//! DIRECTORY/ab/cd/abcd…      files, by id without dashes
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use confab_runtime::Tasks;
use futures_util::Stream;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// Bytes of one piece of a download, at most.
const PIECE_BYTES: usize = 64 * 1024;

/// The directory that holds the bytes. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    directory: Arc<Path>,
    tasks: Tasks,
}

impl Files {
    /// Makes the directory when it is missing and tries whether files can be kept in it.
    pub(crate) async fn open(directory: &Path, tasks: Tasks) -> io::Result<Self> {
        let files = Self {
            directory: directory.into(),
            tasks,
        };
        let staging = files.staging();
        blocking(move || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(staging)
        })
        .await?;
        let mut trial = files.stage().await?;
        trial.write(b"trial").await?;
        trial.file.sync_all().await?;
        Ok(files)
    }

    /// Begins a file. It is removed again unless it is placed and kept.
    pub(crate) async fn stage(&self) -> io::Result<Staged> {
        let path = self.staging().join(file_name(Uuid::new_v4()));
        let tasks = self.tasks.clone();
        blocking(move || {
            let file = File::create_new(&path)?;
            Ok(Staged {
                file: file.into(),
                provisional: Provisional {
                    path: Some(path),
                    tasks,
                },
            })
        })
        .await
    }

    /// Makes a staged file durable and moves it to the place of its id. `at` becomes its time of change: the age by which
    /// it is swept if it never gets a row. It is removed again unless it is kept.
    pub(crate) async fn place(
        &self,
        staged: Staged,
        id: Uuid,
        at: SystemTime,
    ) -> io::Result<Provisional> {
        let Staged {
            mut file,
            mut provisional,
        } = staged;
        file.flush().await?;
        let file = file.into_std().await;
        let directory = self.directory.clone();
        let folder = self.folder(id);
        blocking(move || {
            file.set_modified(at)?;
            file.sync_all()?;
            fs::create_dir_all(&folder)?;
            let target = folder.join(file_name(id));
            if let Some(staged) = &provisional.path {
                fs::rename(staged, &target)?;
            }
            provisional.path = Some(target);
            // All levels, also when they were there before: who made them may not have come to this line yet.
            for folder in folder
                .ancestors()
                .take_while(|path| path.starts_with(&directory))
            {
                File::open(folder)?.sync_all()?;
            }
            Ok(provisional)
        })
        .await
    }

    /// The bytes of a range of a file that has `size` of them, in pieces.
    pub(crate) async fn read(
        &self,
        id: Uuid,
        size: u64,
        range: Range<u64>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        let mut file = tokio::fs::File::open(self.path(id)).await?;
        if file.metadata().await?.len() != size {
            let message = "a stored file has another size than it had when it was stored";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        file.seek(SeekFrom::Start(range.start)).await?;
        let wanted = file.take(range.end - range.start);
        Ok(ReaderStream::with_capacity(wanted, PIECE_BYTES))
    }

    /// Removes the bytes of files whose rows are gone. What cannot be removed now is swept later.
    pub(crate) async fn remove(&self, ids: Vec<Uuid>) {
        let paths: Vec<_> = ids.into_iter().map(|id| self.path(id)).collect();
        let removed = blocking(move || {
            for path in &paths {
                remove(path);
            }
            Ok(())
        })
        .await;
        if let Err(error) = removed {
            tracing::warn!(%error, "files without a row are left");
        }
    }

    /// Where uploads under way are.
    pub(crate) fn staging(&self) -> PathBuf {
        self.directory.join("staging")
    }

    /// Where the folders of all files are whose id starts with this byte. Ids are random, so they spread evenly.
    pub(crate) fn branch(&self, first: u8) -> PathBuf {
        self.directory.join(format!("{first:02x}"))
    }

    fn folder(&self, id: Uuid) -> PathBuf {
        let [first, second, ..] = id.into_bytes();
        self.branch(first).join(format!("{second:02x}"))
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.folder(id).join(file_name(id))
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Staged {
    file: tokio::fs::File,
    provisional: Provisional,
}

impl Staged {
    /// Appends. An error may belong to an earlier piece: writing goes on behind this call.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece).await
    }
}

/// What an upload has left on disk so far. Dropped, it is removed: uploads end in many ways and only one is good.
#[derive(Debug)]
pub(crate) struct Provisional {
    path: Option<PathBuf>,
    tasks: Tasks,
}

impl Provisional {
    /// Leaves the file where it is.
    pub(crate) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Provisional {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            self.tasks.spawn("remove an unfinished file", async move {
                let removed = blocking(move || {
                    remove(&path);
                    Ok(())
                });
                if let Err(error) = removed.await {
                    tracing::warn!(%error, "an unfinished file is left");
                }
            });
        }
    }
}

fn file_name(id: Uuid) -> String {
    id.simple().to_string()
}

/// Removes a file that may be gone already.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file cannot be removed");
    }
}

/// Runs work that waits for the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
