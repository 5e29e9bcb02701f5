//! What uploads leave that break off, and what crashes leave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use confab_database::scratch::{Scratch, settings};
use confab_migrations::attachments::Migrator;
use confab_rpc::attachments::UploadRequest;
use confab_rpc::attachments::upload_request::{Commit, Part};
use confab_rpc::{Fault, Reason};
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, SystemClock, Tasks};
use futures_util::{StreamExt, stream};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::Status;
use uuid::Uuid;

use crate::error::Error;
use crate::sweep::Sweep;
use crate::{Service, Settings};

struct House {
    service: Service,
    sweep: Sweep,
    clock: ManualClock,
    tasks: Tasks,
    folder: TempDir,
    scratch: Scratch,
}

impl House {
    async fn both() -> Vec<Self> {
        let mut houses = Vec::new();
        for scratch in Scratch::both().await {
            houses.push(Self::build(scratch).await);
        }
        houses
    }

    async fn build(scratch: Scratch) -> Self {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            database: settings("sqlite:unused"),
            directory: folder.path().join("files"),
            max_file_mib: 1,
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
            files: service.files.clone(),
            store: service.store.clone(),
            clock: Arc::new(clock.clone()),
        };
        Self {
            service,
            sweep,
            clock,
            tasks,
            folder,
            scratch,
        }
    }

    /// Names of all files below the directory, once nothing is under way any more.
    async fn left(&self) -> Vec<String> {
        assert!(self.tasks.stop(Duration::from_secs(10)).await);
        let mut found = Vec::new();
        collect(self.folder.path(), &mut found);
        found.sort();
        found
    }

    async fn store(&self) -> String {
        let parts = stream::iter([chunk(b"kept"), commit()].map(Ok));
        let stored = self.service.receive(parts).await.unwrap();
        stored.id.simple().to_string()
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

fn chunk(bytes: &[u8]) -> UploadRequest {
    UploadRequest {
        part: Some(Part::Chunk(bytes.to_vec())),
    }
}

fn commit() -> UploadRequest {
    let commit = Commit {
        owner_id: Uuid::from_u128(1).to_string(),
        thread_id: Uuid::from_u128(2).to_string(),
        original_name: "notes.txt".to_owned(),
        declared_type: "text/plain".to_owned(),
    };
    UploadRequest {
        part: Some(Part::Commit(commit)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_dropped_leaves_nothing() {
    for house in House::both().await {
        let (reached, has_reached) = oneshot::channel();
        let then_silence = stream::once(async move {
            reached.send(()).unwrap();
            std::future::pending().await
        });
        let parts = stream::iter([Ok(chunk(b"half of it"))]).chain(then_silence);
        tokio::select! {
            ended = house.service.receive(parts) => panic!("{ended:?}"),
            reached = has_reached => reached.unwrap(),
        }
        assert_eq!(house.left().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_leaves_nothing() {
    for house in House::both().await {
        let mut malformed = commit();
        if let Some(Part::Commit(commit)) = &mut malformed.part {
            commit.owner_id = "somebody".to_owned();
        }
        let large = chunk(&vec![0; 64 * 1024]);
        let endings: [(Vec<Result<UploadRequest, Status>>, Reason); 6] = [
            (vec![Ok(chunk(b"half"))], Reason::Invalid),
            (vec![], Reason::Invalid),
            (
                vec![Ok(chunk(b"half")), Err(Status::cancelled("gone"))],
                Reason::Invalid,
            ),
            (vec![Ok(chunk(b"whole")), Ok(malformed)], Reason::Invalid),
            (
                vec![Ok(chunk(&vec![0; 64 * 1024 + 1])), Ok(commit())],
                Reason::Invalid,
            ),
            (vec![Ok(large); 17], Reason::AttachmentTooLarge),
        ];
        for (parts, reason) in endings {
            let refused = house
                .service
                .receive(stream::iter(parts))
                .await
                .unwrap_err();
            assert_eq!(Fault::from(Status::from(refused)).reason, reason);
        }
        assert_eq!(house.left().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crashes_left_is_swept_after_a_day_and_files_are_not() {
    for house in House::both().await {
        let stored = house.store().await;
        let files = &house.service.files;
        // A crash before the file is moved, and one between that and its row.
        std::mem::forget(files.stage().await.unwrap());
        let orphan = Uuid::new_v4();
        let staged = files.stage().await.unwrap();
        let placed = files
            .place(staged, orphan, house.clock.now().into())
            .await
            .unwrap();
        placed.keep();
        std::fs::write(
            house.folder.path().join("files/staging/README"),
            "of the operator",
        )
        .unwrap();

        house.clock.advance(TimeDelta::hours(23));
        house.sweep.run().await.unwrap();
        assert_eq!(house.left().await.len(), 4, "what may be under way stays");

        house.clock.advance(TimeDelta::hours(2));
        house.sweep.run().await.unwrap();
        let mut rest = vec![stored, "README".to_owned()];
        rest.sort();
        assert_eq!(house.left().await, rest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_when_its_row_cannot_be_written_and_swept_later() {
    for house in House::both().await {
        let Scratch { database, .. } = &house.scratch;
        database.close().await.unwrap();
        let parts = stream::iter([chunk(b"whole"), commit()].map(Ok));
        let refused = house.service.receive(parts).await.unwrap_err();
        assert_eq!(
            Fault::from(Status::from(refused)).reason,
            Reason::Overloaded
        );
        assert_eq!(
            house.left().await.len(),
            1,
            "the row may be there for all we know"
        );
    }
}

#[test]
fn a_full_disk_is_told_from_a_broken_one() {
    for (number, reason) in [
        (28, Reason::StorageFull),
        (122, Reason::StorageFull),
        (5, Reason::Internal),
    ] {
        let error = Error::from(std::io::Error::from_raw_os_error(number));
        assert_eq!(Fault::from(Status::from(error)).reason, reason);
    }
}
