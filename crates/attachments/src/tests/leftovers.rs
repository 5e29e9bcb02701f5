//! What uploads leave that break off, what crashes leave, and what no message carries.

use std::time::Duration;

use chrono::TimeDelta;
use confab_database::scratch::Scratch;
use confab_rpc::attachments::UploadRequest;
use confab_rpc::attachments::upload_request::Part;
use confab_rpc::{Fault, Reason};
use confab_runtime::Clock;
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;
use tonic::Status;
use uuid::Uuid;

use super::house::{House, THREAD, chunk, commit};
use crate::error::Error;

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_dropped_leaves_nothing() {
    for house in House::all().await {
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
    for house in House::all().await {
        let mut malformed = commit(THREAD);
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
                vec![Ok(chunk(&vec![0; 64 * 1024 + 1])), Ok(commit(THREAD))],
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
    for house in House::all().await {
        let stored = house.store(THREAD).await;
        // A crash before the file is finished, and some between that and their rows.
        let blobs = &house.service.blobs;
        std::mem::forget(blobs.begin(Uuid::new_v4()).await.unwrap());
        for number in 0..5 {
            // All in one branch, so that a bucket lists them on several pages.
            let orphan = blobs.begin(Uuid::from_u128(0xAB << 120 | number));
            let at = house.clock.now().into();
            orphan.await.unwrap().finish(0, at).await.unwrap();
        }
        house.leave("README");
        let before = house.left().await;

        house.clock.advance(TimeDelta::hours(23));
        house.sweep.run().await.unwrap();
        assert_eq!(house.left().await, before, "what may be under way stays");

        house.clock.advance(TimeDelta::hours(2));
        house.sweep.run().await.unwrap();
        let mut rest = vec![stored.simple().to_string(), "README".to_owned()];
        rest.sort();
        assert_eq!(house.left().await, rest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_message_carries_is_reaped_after_a_day() {
    for house in House::all().await {
        let unkept = house.store("").await;
        let kept = house.store("").await;
        let of_a_thread = house.store(THREAD).await;
        let owned = house.service.store.of(Uuid::from_u128(1));
        assert!(owned.keep(kept).await.unwrap().is_some());

        house
            .clock
            .advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
        house.sweep.run().await.unwrap();
        assert_eq!(house.left().await.len(), 3);

        house.clock.advance(TimeDelta::seconds(1));
        house.sweep.run().await.unwrap();
        let mut rest = [kept, of_a_thread].map(|id| id.simple().to_string());
        rest.sort();
        assert_eq!(house.left().await, rest);
        assert!(owned.keep(unkept).await.unwrap().is_none());
        assert!(owned.get(of_a_thread).await.unwrap().is_some());
    }
}

/// Time passes by itself here whenever nothing else can happen.
#[tokio::test]
async fn an_upload_that_is_too_slow_ends_and_leaves_nothing() {
    for house in House::all().await {
        tokio::time::pause();
        let second = Duration::from_secs(1);
        let trickle = stream::unfold((), move |()| async move {
            tokio::time::sleep(second).await;
            Some((Ok(chunk(&[0; 1023])), ()))
        });
        let silence = stream::iter([Ok(chunk(b"half"))]).chain(stream::pending());
        for parts in [trickle.boxed(), silence.boxed()] {
            let refused = house.service.receive(parts).await.unwrap_err();
            assert!(matches!(refused, Error::TooSlow), "{refused}");
        }
        tokio::time::resume();
        assert_eq!(house.left().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_when_its_row_cannot_be_written_and_swept_later() {
    for house in House::all().await {
        let Scratch { database, .. } = &house.scratch;
        database.close().await.unwrap();
        let parts = stream::iter([chunk(b"whole"), commit(THREAD)].map(Ok));
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
