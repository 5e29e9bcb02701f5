//! Bytes on disk: staged, made durable, moved to their place, read, removed.
//!
//! ```text
//! DIRECTORY/staging/<id>     uploads under way
//! DIRECTORY/ab/cd/abcd…      files, by id without dashes
//! ```

use std::fs::{self, DirBuilder, DirEntry, File};
use std::io::{self, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use confab_runtime::Tasks;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{Blobs, Incoming, PIECE_BYTES, Pieces, wrong_size};
use crate::name::FileName;

/// A directory.
#[derive(Debug)]
pub(super) struct Files {
    directory: Arc<Path>,
    tasks: Tasks,
}

impl Files {
    /// Makes the directory when it is missing and tries whether files can be kept in it.
    pub(super) async fn open(directory: &Path, tasks: Tasks) -> io::Result<Self> {
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
        let mut trial = files.stage(Uuid::new_v4()).await?;
        trial.file.write_all(b"trial").await?;
        trial.file.sync_all().await?;
        Ok(files)
    }

    async fn stage(&self, id: Uuid) -> io::Result<Staged> {
        let staged = self.staging().join(file_name(id));
        let folder = self.folder(id);
        let directory = Arc::clone(&self.directory);
        let tasks = self.tasks.clone();
        blocking(move || {
            let file = File::create_new(&staged)?;
            Ok(Staged {
                file: file.into(),
                provisional: Provisional {
                    path: Some(staged),
                    tasks,
                },
                target: folder.join(file_name(id)),
                folder,
                directory,
            })
        })
        .await
    }

    /// Where uploads under way are.
    fn staging(&self) -> PathBuf {
        self.directory.join("staging")
    }

    /// Where the folders of all files are whose id starts with this byte. Ids are random, so they spread evenly.
    fn branch(&self, first: u8) -> PathBuf {
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

#[async_trait::async_trait]
impl Blobs for Files {
    async fn begin(&self, id: Uuid) -> io::Result<Box<dyn Incoming>> {
        Ok(Box::new(self.stage(id).await?))
    }

    async fn read(&self, id: Uuid, size: u64, range: Range<u64>) -> io::Result<Pieces> {
        let mut file = tokio::fs::File::open(self.path(id)).await?;
        if file.metadata().await?.len() != size {
            return Err(wrong_size());
        }
        file.seek(SeekFrom::Start(range.start)).await?;
        let wanted = file.take(range.end - range.start);
        Ok(ReaderStream::with_capacity(wanted, PIECE_BYTES).boxed())
    }

    async fn remove(&self, ids: Vec<Uuid>) {
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

    async fn older(&self, first: u8, before: SystemTime) -> io::Result<Vec<Uuid>> {
        let branch = self.branch(first);
        blocking(move || {
            let mut found = Vec::new();
            for entry in entries(&branch)? {
                let old = old_files(&entry.path(), before)?;
                found.extend(old.into_iter().map(|(id, _)| id));
            }
            Ok(found)
        })
        .await
    }

    async fn clear_unfinished(&self, before: SystemTime) -> io::Result<usize> {
        let staging = self.staging();
        blocking(move || {
            let abandoned = old_files(&staging, before)?;
            for (_, path) in &abandoned {
                remove(path);
            }
            Ok(abandoned.len())
        })
        .await
    }
}

/// A file that is being written.
#[derive(Debug)]
struct Staged {
    file: tokio::fs::File,
    provisional: Provisional,
    /// Where it goes, in which folder, and the directory around all of that.
    target: PathBuf,
    folder: PathBuf,
    directory: Arc<Path>,
}

#[async_trait::async_trait]
impl Incoming for Staged {
    async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.file.write_all(&piece).await
    }

    async fn finish(self: Box<Self>, size: u64, at: SystemTime) -> io::Result<()> {
        let Self {
            mut file,
            mut provisional,
            target,
            folder,
            directory,
        } = *self;
        file.flush().await?;
        let file = file.into_std().await;
        let placed = blocking(move || {
            file.set_modified(at)?;
            file.sync_all()?;
            if file.metadata()?.len() != size {
                return Err(wrong_size());
            }
            fs::create_dir_all(&folder)?;
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
        .await?;
        placed.keep();
        Ok(())
    }
}

/// What an upload has left on disk so far. Dropped, it is removed: uploads end in many ways and only one is good.
#[derive(Debug)]
struct Provisional {
    path: Option<PathBuf>,
    tasks: Tasks,
}

impl Provisional {
    /// Leaves the file where it is.
    fn keep(mut self) {
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
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file cannot be removed");
    }
}

/// Runs work that waits for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The files of a folder that were last changed before a time and whose name is that of an id; others are not ours.
fn old_files(folder: &Path, before: SystemTime) -> io::Result<Vec<(Uuid, PathBuf)>> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        let name = entry.file_name();
        let Some(FileName {
            id,
            extension: None,
        }) = name.to_str().and_then(FileName::parse)
        else {
            continue;
        };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.modified()? < before => {
                found.push((id, entry.path()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// What is in a folder; nothing when it is none.
fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
