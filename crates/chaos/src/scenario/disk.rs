//! There is no space left: what cannot be kept is refused, nothing is kept by half, and the rest goes on.

use std::time::Duration;

use async_trait::async_trait;
use confab_testkit::Rest;
use confab_testkit::people::Person;

use super::{Scenario, probe};
use crate::load::register;
use crate::runner::{Evidence, Stage};
use crate::supervisor::Disk;
use crate::topology::Part;

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(Attachments), Box::new(Cache), Box::new(Database)]
}

/// The disk of the files is full.
struct Attachments;

/// How large it is, and a file; six fit.
const DISK_MIB: usize = 8;
const FILE: usize = 1_200_000;

/// The answer to an upload that there is no space for.
const NO_SPACE: u16 = 507;

impl Attachments {
    /// Uploads files until one is refused, and some more; how many were taken and how the others were answered.
    async fn upload(stage: &Stage, from: &Person, to: &Person) -> (usize, Vec<u16>) {
        let rest = Rest::with_token(stage.topology.gateway(0), &from.token);
        let mut taken = 0;
        let mut refused = Vec::new();
        while refused.len() < 3 && taken < 20 {
            let bytes = vec![b'x'; FILE];
            match rest.upload(to.id, "file.txt", bytes).await.0 {
                200 | 201 => taken += 1,
                status => refused.push(status),
            }
        }
        (taken, refused)
    }

    /// The files there are: whole ones, and others.
    fn kept(disk: &Disk) -> (usize, usize) {
        let mut folders = vec![disk.folder().to_owned()];
        let (mut whole, mut others) = (0, 0);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                let metadata = entry.metadata().expect("a file");
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.len() == FILE as u64 {
                    whole += 1;
                } else {
                    others += 1;
                }
            }
        }
        (whole, others)
    }
}

#[async_trait(?Send)]
impl Scenario for Attachments {
    fn id(&self) -> &'static str {
        "F26"
    }

    fn title(&self) -> &'static str {
        "the disk of the files is full"
    }

    fn in_smoke(&self) -> bool {
        true
    }

    fn allowed_errors(&self) -> Vec<&'static str> {
        vec!["the disk is full", "an upload was refused"]
    }

    async fn fault(&self, stage: &mut Stage) {
        let rest = Rest::anonymous(stage.topology.gateway(0));
        let people = register(&rest, &stage.topology, 2).await;
        let part = Part::attachments();
        stage.stop(part).await;
        let disk = Disk::mount(&stage.topology.folder().join("attachments"), DISK_MIB);
        stage.start(part).await;
        let (taken, refused) = Self::upload(stage, &people[0], &people[1]).await;
        stage.note(&format!("{taken} files were taken, then {refused:?}"));
        stage.expect(
            (1..=DISK_MIB).contains(&taken),
            format!("{taken} files of {FILE} bytes fit on {DISK_MIB} MiB"),
        );
        stage.expect(
            !refused.is_empty() && refused.iter().all(|status| *status == NO_SPACE),
            format!("uploads without space were answered with {refused:?}"),
        );
        let (whole, others) = Self::kept(&disk);
        stage.expect(
            whole == taken && others == 0,
            format!("of {taken} files there are {whole}, and {others} that are not whole"),
        );
        stage.until_heal().await;
        // With what was there before, and space.
        stage.stop(part).await;
        drop(disk);
        stage.start(part).await;
        let (taken, refused) = Self::upload(stage, &people[1], &people[0]).await;
        stage.expect(
            refused.is_empty() && taken > DISK_MIB,
            format!("with space again, {taken} files were taken, then {refused:?}"),
        );
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        probe::unnoticed(stage, evidence);
    }
}

/// The cache has no memory left: it refuses whatever makes it larger.
struct Cache;

#[async_trait(?Send)]
impl Scenario for Cache {
    fn id(&self) -> &'static str {
        "F26C"
    }

    fn title(&self) -> &'static str {
        "Redis has no memory left"
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().redis.limit_memory(1).await;
        stage.note("Redis takes nothing any more");
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().redis.limit_memory(0).await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        probe::unnoticed(stage, evidence);
        probe::delivered_within(stage, evidence, probe::BY_READING);
    }
}

/// The disk of the database is full.
struct Database;

/// How large it is: some times what an empty PostgreSQL needs.
const DATABASE_MIB: usize = 200;

#[async_trait(?Send)]
impl Scenario for Database {
    fn id(&self) -> &'static str {
        "F26D"
    }

    fn title(&self) -> &'static str {
        "the disk of PostgreSQL is full"
    }

    fn leaves_servers_whole(&self) -> bool {
        false
    }

    async fn fault(&self, stage: &mut Stage) {
        stage.servers().postgres.move_to_disk(DATABASE_MIB).await;
        stage.note("PostgreSQL is on a small disk");
        stage.pause(Duration::from_secs(1)).await;
        stage.servers().postgres.disk().fill();
        stage.note("which is full");
        let database = stage.servers().last_database();
        let grow = "CREATE TABLE more AS SELECT generate_series(1, 1000000)";
        let grown = stage.servers().postgres.try_query(&database, grow).await;
        stage.expect(grown.is_err(), "there was space left");
        stage.until_heal().await;
    }

    async fn heal(&self, stage: &mut Stage) {
        stage.servers().postgres.disk().free();
        stage.servers().postgres.revive().await;
        stage.note("there is space again");
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        for (error, count) in evidence.outcome.errors() {
            stage.note(&format!("{count} times: {error}"));
        }
    }
}
