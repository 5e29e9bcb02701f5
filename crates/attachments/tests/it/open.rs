//! How the service starts.

use std::path::PathBuf;
use std::sync::Arc;

use confab_attachments::{OpenError, Place, S3, Service, Settings};
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
    for house in House::all().await {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
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

/// Makes settings wrong.
type Spoil = fn(&mut Settings);

#[test]
fn settings_that_cannot_work_are_refused() {
    let files = settings_in(PathBuf::from("files"));
    assert!(files.validate().is_ok());
    let bucket = Settings {
        store: Place::S3,
        directory: PathBuf::new(),
        s3: S3 {
            bucket: "files".to_owned(),
            region: "eu-central-1".to_owned(),
            ..files.s3.clone()
        },
        ..files.clone()
    };
    assert!(bucket.validate().is_ok());

    let cases: [(&Settings, Spoil); 8] = [
        (&files, |settings| settings.directory = PathBuf::new()),
        (&files, |settings| settings.max_file_mib = 0),
        (&bucket, |settings| settings.max_file_mib = 50_001),
        (&bucket, |settings| settings.s3.bucket = String::new()),
        (&bucket, |settings| settings.s3.region = String::new()),
        (&bucket, |settings| settings.s3.access_key_id = "id".into()),
        (&bucket, |settings| {
            settings.s3.secret_access_key = "secret".into();
        }),
        (&bucket, |settings| {
            settings.s3.endpoint = "http://store:9000".into();
        }),
    ];
    for (index, (good, spoil)) in cases.into_iter().enumerate() {
        let mut settings = good.clone();
        spoil(&mut settings);
        assert!(settings.validate().is_err(), "case {index}");
    }
}
