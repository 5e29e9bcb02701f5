//! The service from inside, with what it works on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use confab_database::scratch::{Scratch, settings};
use confab_migrations::attachments::Migrator;
use confab_rpc::attachments::UploadRequest;
use confab_rpc::attachments::upload_request::{Commit, Part};
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, SystemClock, Tasks};
use futures_util::stream;
use tempfile::TempDir;
use uuid::Uuid;

use super::bucket::Bucket;
use crate::sweep::Sweep;
use crate::{Place, Service, Settings};

pub(super) const THREAD: &str = "018f0000-0000-7000-8000-00000000000a";

pub(super) struct House {
    pub(super) service: Service,
    pub(super) sweep: Sweep,
    pub(super) clock: ManualClock,
    tasks: Tasks,
    bytes: Bytes,
    pub(super) scratch: Scratch,
}

/// Where a house has its bytes, to be looked at from outside.
enum Bytes {
    Files(TempDir),
    S3(Bucket),
}

impl House {
    /// One on each database with each place for bytes.
    pub(super) async fn all() -> Vec<Self> {
        let mut houses = Vec::new();
        for place in [Place::Files, Place::S3] {
            for scratch in Scratch::both().await {
                houses.push(Self::build(scratch, place).await);
            }
        }
        houses
    }

    async fn build(scratch: Scratch, place: Place) -> Self {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bucket = Bucket::start().await;
        let settings = Settings {
            database: settings("sqlite:unused"),
            store: place,
            directory: folder.path().join("files"),
            max_file_mib: 1,
            quota_mib: 1,
            min_upload_bytes_per_second: 1024,
            s3: bucket.settings(),
        };
        let clock = ManualClock::at(SystemClock.now());
        let tasks = Tasks::new();
        let service = Service::open(
            scratch.database.clone(),
            &settings,
            Arc::new(clock.clone()),
            tasks.clone(),
        )
        .await
        .unwrap();
        let sweep = Sweep {
            blobs: Arc::clone(&service.blobs),
            store: service.store.clone(),
            clock: Arc::new(clock.clone()),
        };
        let bytes = match place {
            Place::Files => Bytes::Files(folder),
            Place::S3 => Bytes::S3(bucket),
        };
        Self {
            service,
            sweep,
            clock,
            tasks,
            bytes,
            scratch,
        }
    }

    /// Names of all files there are, once nothing is under way any more.
    pub(super) async fn left(&self) -> Vec<String> {
        assert!(self.tasks.stop(Duration::from_secs(10)).await);
        let mut found = Vec::new();
        match &self.bytes {
            Bytes::Files(folder) => collect(folder.path(), &mut found),
            Bytes::S3(bucket) => {
                let keys = bucket.keys();
                let names = keys.iter().filter_map(|key| key.rsplit('/').next());
                found.extend(names.map(str::to_owned));
            }
        }
        found.sort();
        found
    }

    /// Puts a file there that is none of ours.
    pub(super) fn leave(&self, name: &str) {
        match &self.bytes {
            Bytes::Files(folder) => {
                let path = folder.path().join("files/staging").join(name);
                std::fs::write(path, "of the operator").unwrap();
            }
            Bytes::S3(bucket) => bucket.replace(&format!("attachments/ab/{name}"), Some(b"")),
        }
    }

    /// Stores a file of this thread, if any.
    pub(super) async fn store(&self, thread_id: &str) -> Uuid {
        let parts = stream::iter([chunk(b"kept"), commit(thread_id)].map(Ok));
        self.service.receive(parts).await.unwrap().id
    }
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), found);
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
}

pub(super) fn chunk(bytes: &[u8]) -> UploadRequest {
    UploadRequest {
        part: Some(Part::Chunk(bytes.to_vec())),
    }
}

pub(super) fn commit(thread_id: &str) -> UploadRequest {
    let commit = Commit {
        owner_id: Uuid::from_u128(1).to_string(),
        thread_id: thread_id.to_owned(),
        original_name: "notes.txt".to_owned(),
        declared_type: "text/plain".to_owned(),
        reader_ids: vec![Uuid::from_u128(3).to_string()],
    };
    UploadRequest {
        part: Some(Part::Commit(commit)),
    }
}
