//! What the files of one user may take together.

use confab_rpc::attachments::DeleteAttachmentRequest;
use confab_rpc::{Fault, Reason};
use futures_util::future::join_all;

use crate::{House, OWNER, THREAD, commit, parts};

const QUOTA: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_to_the_byte_and_frees_up() {
    for house in House::all_with(|settings| settings.quota_mib = 1).await {
        let all = house.upload("all.bin", &vec![0; QUOTA]).await;
        let more = parts(b"x", commit(THREAD, "x.bin", ""));
        let refused = house.client().upload(more).await.unwrap_err();
        let refused = Fault::from(refused);
        assert_eq!(refused.reason, Reason::QuotaExceeded);
        assert_eq!(refused.limit, Some(QUOTA as u64));
        house.upload("nothing.bin", b"").await;

        let request = DeleteAttachmentRequest {
            user_id: OWNER.to_owned(),
            id: all.id,
        };
        house.client().delete_attachment(request).await.unwrap();
        house.upload("x.bin", b"x").await;
        assert_eq!(house.files().await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_side_by_side_do_not_pass_a_quota() {
    for house in House::all_with(|settings| settings.quota_mib = 1).await {
        let quarter = vec![0; QUOTA / 4];
        let uploads = (0..12).map(|_| {
            let mut client = house.client();
            let parts = parts(&quarter, commit(THREAD, "x.bin", ""));
            async move { client.upload(parts).await }
        });
        let outcomes = join_all(uploads).await;
        let (stored, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(stored.len(), 4);
        for refused in refused {
            let fault = Fault::from(refused.unwrap_err());
            assert_eq!(fault.reason, Reason::QuotaExceeded, "{fault}");
        }
        assert_eq!(house.files().await, 4, "what was refused is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quota_there_is_none() {
    for house in House::all().await {
        for _ in 0..3 {
            house.upload("all.bin", &vec![0; QUOTA]).await;
        }
        assert_eq!(house.files().await, 3);
    }
}
