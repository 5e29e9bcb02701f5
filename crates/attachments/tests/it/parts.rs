//! Files that go into a bucket in parts, and buckets that fail.

use std::sync::Arc;

use axum::http::Method;
use confab_attachments::{Place, Service};
use confab_database::scratch::Scratch;
use confab_rpc::Reason;
use confab_rpc::attachments::DownloadRequest;
use confab_runtime::Tasks;
use futures_util::{StreamExt, stream};

use crate::bucket::Bucket;
use crate::{Bytes, House, THREAD, by_owner, chunk, commit, parts, reason};

const PART: usize = 5 * 1024 * 1024;

impl House {
    /// One on each database, with a bucket and room for files of several parts.
    async fn buckets() -> Vec<Self> {
        let mut houses = Vec::new();
        for scratch in Scratch::both().await {
            let large = |settings: &mut confab_attachments::Settings| settings.max_file_mib = 20;
            houses.push(Self::build(scratch, Place::S3, large).await);
        }
        houses
    }

    fn bucket(&self) -> &Bucket {
        match &self.bytes {
            Bytes::S3(bucket) => bucket,
            Bytes::Files(_) => panic!("the bytes are in a directory"),
        }
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..251).cycle().take(size).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_comes_back_as_it_went() {
    for house in House::buckets().await {
        for (size, uploads) in [
            (PART - 1, 0),
            (PART, 1),
            (PART + 1, 2),
            (2 * PART + 70_000, 3),
        ] {
            let bytes = pattern(size);
            let stored = house.upload("x.bin", &bytes).await;
            assert_eq!(house.bucket().begun(), uploads, "{size}");
            let (header, back) = house.download(by_owner(&stored.name)).await.unwrap();
            assert_eq!(header, stored);
            assert!(back == bytes, "{size}");
            let across = DownloadRequest {
                offset: i64::try_from(PART / 2).unwrap(),
                length: i64::try_from(PART).unwrap(),
                ..by_owner(&stored.name)
            };
            let (_, back) = house.download(across).await.unwrap();
            assert!(back == bytes[PART / 2..(PART / 2 + PART).min(size)]);
        }
        assert_eq!(house.files().await, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_between_parts_is_aborted() {
    for house in House::buckets().await {
        let chunks: Vec<_> = pattern(PART).chunks(64 * 1024).map(chunk).collect();
        let silent_then = stream::iter(chunks.clone()).chain(stream::pending());
        let mut client = house.client();
        tokio::select! {
            ended = client.upload(silent_then) => panic!("{ended:?}"),
            () = house.bucket().parts(1) => {}
        }
        let without_commit = stream::iter(chunks);
        assert_eq!(
            reason(house.client().upload(without_commit).await),
            Reason::Invalid
        );
        assert_eq!(house.bucket().begun(), 2);
        assert_eq!(house.files().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_loses_bytes_has_not_stored_them() {
    for house in House::buckets().await {
        house.bucket().lose_a_byte();
        for size in [10, PART + 1] {
            let upload = parts(&pattern(size), commit(THREAD, "x.bin", ""));
            assert_eq!(
                reason(house.client().upload(upload).await),
                Reason::Internal
            );
        }
        assert_eq!(house.files().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_leaves_no_row() {
    for house in House::buckets().await {
        house.bucket().refuse(Method::PUT);
        for size in [10, PART + 1] {
            let upload = parts(&pattern(size), commit(THREAD, "x.bin", ""));
            assert_eq!(
                reason(house.client().upload(upload).await),
                Reason::Internal
            );
        }
        let request = confab_rpc::attachments::ListAttachmentsRequest {
            user_id: crate::OWNER.to_owned(),
            thread_id: THREAD.to_owned(),
            ..Default::default()
        };
        let listed = house.client().list_attachments(request).await.unwrap();
        assert!(listed.into_inner().attachments.is_empty());
        assert_eq!(house.files().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_written_is_refused_by_name() {
    for house in House::buckets().await {
        let mut settings = house.bytes.settings();
        settings.s3.access_key_id = "somebody".to_owned();
        let opened = Service::open(
            house.database.clone(),
            &settings,
            Arc::new(house.clock.clone()),
            Tasks::new(),
        );
        let Err(refused) = opened.await else {
            panic!("opened with a wrong key");
        };
        let refused = refused.to_string();
        assert!(refused.contains("files"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
