//! Removes what crashes left: uploads that never ended and bytes that never got a row.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use confab_runtime::{Clock, Tasks};
use uuid::Uuid;

use crate::error::Error;
use crate::files::{self, Files};
use crate::name::FileName;
use crate::store::Store;

/// What is younger may belong to an upload under way, here or on another replica.
const AGE: Duration = Duration::from_hours(24);
const INTERVAL: Duration = Duration::from_hours(1);

/// Removes what crashes left.
pub(crate) struct Sweep {
    pub(crate) files: Files,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Sweeps now and every hour, until the process comes to its end.
    pub(crate) fn start(self, tasks: &Tasks) {
        let stopping = tasks.stopping();
        tasks.spawn("sweep attachments", async move {
            let sweeping = async {
                loop {
                    if let Err(error) = self.run().await {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            error,
                            "left-over files are not swept; the next try is in an hour"
                        );
                    }
                    tokio::time::sleep(INTERVAL).await;
                }
            };
            stopping.run_until_cancelled(sweeping).await;
        });
    }

    /// Sweeps once.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let before = SystemTime::from(self.clock.now()) - AGE;
        let staging = self.files.staging();
        let abandoned = files::blocking(move || old_files(&staging, before)).await?;
        let mut removed = discard(abandoned).await?;
        for first in 0..=u8::MAX {
            removed += self.branch(first, before).await?;
        }
        if removed > 0 {
            tracing::info!(removed, "swept files that crashes had left");
        }
        Ok(())
    }

    /// Sweeps the files whose id starts with this byte.
    async fn branch(&self, first: u8, before: SystemTime) -> Result<usize, Error> {
        let folder = self.files.branch(first);
        let old = files::blocking(move || old_files_below(&folder, before)).await?;
        let ids: Vec<Uuid> = old.iter().map(|(id, _)| *id).collect();
        let known: HashSet<Uuid> = self.store.known(&ids).await?;
        let unknown = old.into_iter().filter(|(id, _)| !known.contains(id));
        discard(unknown.collect()).await
    }
}

type Found = Vec<(Uuid, PathBuf)>;

async fn discard(found: Found) -> Result<usize, Error> {
    let count = found.len();
    files::blocking(move || {
        for (_, path) in &found {
            files::remove(path);
        }
        Ok(())
    })
    .await?;
    Ok(count)
}

fn old_files_below(folder: &Path, before: SystemTime) -> io::Result<Found> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        found.extend(old_files(&entry.path(), before)?);
    }
    Ok(found)
}

/// The files of a folder that were last changed before a time and whose name is that of an id; others are not ours.
fn old_files(folder: &Path, before: SystemTime) -> io::Result<Found> {
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
