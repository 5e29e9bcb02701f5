//! How the service starts.

use std::path::PathBuf;
use std::sync::Arc;

use confab_attachments::{OpenError, Service};
use confab_database::Database;
use confab_database::scratch::Scratch;
use confab_migrations::attachments::Migrator;
use confab_rpc::attachments::SignRequest;
use confab_runtime::clock::ManualClock;
use confab_runtime::{Clock, SystemClock, Tasks};

use crate::{House, OWNER, client, parts, settings_in};

async fn open(
    database: &Database,
    directory: PathBuf,
    clock: &ManualClock,
) -> Result<Service, OpenError> {
    let clock = Arc::new(clock.clone());
    Service::open(
        database.clone(),
        &settings_in(directory),
        clock,
        Tasks::new(),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_share_files_and_sign_alike() {
    for scratch in Scratch::both().await {
        let database = &scratch.database;
        database.migrate::<Migrator>().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("not/there/yet");
        let clock = ManualClock::at(SystemClock.now());
        let (first, second) = tokio::join!(
            open(database, directory.clone(), &clock),
            open(database, directory.clone(), &clock)
        );
        let (mut first, mut second) = (client(first.unwrap()), client(second.unwrap()));
        let upload = parts(b"text", crate::commit(crate::THREAD, "a.txt", ""));
        let stored = first.upload(upload).await.unwrap().into_inner();
        let request = SignRequest {
            user_id: OWNER.to_owned(),
            id: stored.id,
            lifetime_seconds: 60,
        };
        let by_first = first.sign(request.clone()).await.unwrap().into_inner();
        let by_second = second.sign(request.clone()).await.unwrap().into_inner();
        assert_eq!(by_first, by_second);

        let mut restarted = client(open(database, directory, &clock).await.unwrap());
        let after_restart = restarted.sign(request).await.unwrap().into_inner();
        assert_eq!(by_first, after_restart);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_one_is_refused_by_name() {
    for house in House::both().await {
        let file = house.folder.path().join("a file");
        std::fs::write(&file, "in the way").unwrap();
        let Err(refused) = open(&house.database, file.clone(), &house.clock).await else {
            panic!("opened on a file");
        };
        assert!(
            refused.to_string().contains(&file.display().to_string()),
            "{refused}"
        );
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = settings_in(PathBuf::from("files"));
    assert!(good.validate().is_ok());
    let no_directory = confab_attachments::Settings {
        directory: PathBuf::new(),
        ..good.clone()
    };
    assert!(no_directory.validate().is_err());
    let no_size = confab_attachments::Settings {
        max_file_mib: 0,
        ..good
    };
    assert!(no_size.validate().is_err());
}
