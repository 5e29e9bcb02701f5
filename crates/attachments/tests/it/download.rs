//! Files on their way out: ranges, loss, removal.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::attachments::{
    DeleteAttachmentRequest, DeleteThreadAttachmentsRequest, DownloadRequest,
    ListAttachmentsRequest,
};

use crate::{House, OTHER_THREAD, OWNER, STRANGER, THREAD, by_owner, commit, parts, reason};

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_cut_from_the_file() {
    for house in House::all().await {
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let stored = house.upload("x.bin", &bytes).await;
        for (offset, length, wanted) in [
            (0, 0, Some(0..200_000)),
            (0, 1, Some(0..1)),
            (1, 70_000, Some(1..70_001)),
            (65_535, 2, Some(65_535..65_537)),
            (199_999, 0, Some(199_999..200_000)),
            (199_999, 5, Some(199_999..200_000)),
            (200_000, 0, Some(200_000..200_000)),
            (100, i64::MAX, Some(100..200_000)),
            (200_001, 0, None),
            (-1, 0, None),
            (0, -1, None),
        ] {
            let request = DownloadRequest {
                offset,
                length,
                ..by_owner(&stored.name)
            };
            let read = house.download(request).await;
            match wanted {
                Some(range) => {
                    let (header, read) = read.unwrap();
                    assert_eq!(header.size, 200_000, "the header is the whole file's");
                    assert!(read == bytes[range], "{offset} {length}");
                }
                None => assert_eq!(reason(read), Reason::Invalid, "{offset} {length}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_cut_bytes_are_not_passed_off_as_the_file() {
    for house in House::all().await {
        let stored = house.upload("x.txt", b"all of it").await;
        house.bytes.replace(&stored.id, Some(b"all"));
        assert_eq!(
            reason(house.download(by_owner(&stored.name)).await),
            Reason::Internal
        );
        house.bytes.replace(&stored.id, None);
        assert_eq!(
            reason(house.download(by_owner(&stored.name)).await),
            Reason::Internal
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_lists_its_files_oldest_first() {
    for house in House::all().await {
        let mut names = Vec::new();
        for name in ["a.txt", "b.txt", "c.txt"] {
            names.push(house.upload(name, b"text").await.name);
            house.clock.advance(TimeDelta::seconds(1));
        }
        let elsewhere = parts(b"text", commit(OTHER_THREAD, "d.txt", ""));
        house.client().upload(elsewhere).await.unwrap();
        for (user_id, thread_id, wanted) in [
            (OWNER, THREAD, names.as_slice()),
            (STRANGER, THREAD, &[]),
            (OWNER, "018f0000-0000-7000-8000-0000000000ff", &[]),
            (OWNER, "../", &[]),
            ("", THREAD, &[]),
        ] {
            let request = ListAttachmentsRequest {
                user_id: user_id.to_owned(),
                thread_id: thread_id.to_owned(),
                ..Default::default()
            };
            let listed = house
                .client()
                .list_attachments(request)
                .await
                .unwrap()
                .into_inner();
            let listed: Vec<_> = listed
                .attachments
                .into_iter()
                .map(|found| found.name)
                .collect();
            assert_eq!(listed, wanted, "{user_id} {thread_id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_from_disk() {
    for house in House::all().await {
        let stored = house.upload("a.txt", b"text").await;
        let kept = house.upload("b.txt", b"text").await;
        let request = DeleteAttachmentRequest {
            user_id: OWNER.to_owned(),
            id: stored.id.clone(),
        };
        let deleted = house
            .client()
            .delete_attachment(request.clone())
            .await
            .unwrap();
        assert_eq!(deleted.into_inner().deleted, 1);
        assert_eq!(
            reason(house.client().delete_attachment(request).await),
            Reason::AttachmentNotFound
        );
        assert_eq!(
            reason(house.download(by_owner(&stored.name)).await),
            Reason::AttachmentNotFound
        );
        house.download(by_owner(&kept.name)).await.unwrap();
        assert_eq!(house.files().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_threads_files_leaves_other_threads() {
    for house in House::all().await {
        for name in ["a.txt", "b.txt", "c.txt"] {
            house.upload(name, b"text").await;
        }
        let elsewhere = parts(b"text", commit(OTHER_THREAD, "d.txt", ""));
        let elsewhere = house.client().upload(elsewhere).await.unwrap().into_inner();
        for (user_id, thread_id, wanted) in [
            (STRANGER, THREAD, 0),
            ("junk", THREAD, 0),
            (OWNER, "junk", 0),
            (OWNER, THREAD, 3),
            (OWNER, THREAD, 0),
        ] {
            let request = DeleteThreadAttachmentsRequest {
                user_id: user_id.to_owned(),
                thread_id: thread_id.to_owned(),
            };
            let deleted = house
                .client()
                .delete_thread_attachments(request)
                .await
                .unwrap();
            assert_eq!(
                deleted.into_inner().deleted,
                wanted,
                "{user_id} {thread_id}"
            );
        }
        house.download(by_owner(&elsewhere.name)).await.unwrap();
        assert_eq!(house.files().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_delete_the_same_files_delete_each_once() {
    for house in House::all().await {
        for _ in 0..20 {
            house.upload("a.txt", b"text").await;
        }
        let request = DeleteThreadAttachmentsRequest {
            user_id: OWNER.to_owned(),
            thread_id: THREAD.to_owned(),
        };
        let (mut first, mut second) = (house.client(), house.client());
        let (first, second) = tokio::join!(
            first.delete_thread_attachments(request.clone()),
            second.delete_thread_attachments(request)
        );
        let deleted = first.unwrap().into_inner().deleted + second.unwrap().into_inner().deleted;
        assert_eq!(deleted, 20);
        assert_eq!(house.files().await, 0);
    }
}
