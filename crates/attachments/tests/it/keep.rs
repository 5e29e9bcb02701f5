//! Files of messages between people: who else may read them, and what happens to those that no message carries.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::attachments::download_request::Access;
use confab_rpc::attachments::get_attachment_request::By;
use confab_rpc::attachments::upload_request::{Commit, Part};
use confab_rpc::attachments::{
    Attachment, DeleteAttachmentRequest, DeleteThreadAttachmentsRequest, GetAttachmentRequest,
    KeepAttachmentRequest, SignRequest, UploadRequest,
};
use tonic::Status;
use uuid::Uuid;

use crate::{House, OWNER, STRANGER, THREAD, by, by_owner, parts, reason};

const READER: &str = "018f0000-0000-7000-8000-000000000003";
const NO_THREAD: &str = "00000000-0000-0000-0000-000000000000";

fn commit(thread_id: &str, reader_ids: &[&str]) -> UploadRequest {
    let commit = Commit {
        owner_id: OWNER.to_owned(),
        thread_id: thread_id.to_owned(),
        original_name: "photo.txt".to_owned(),
        declared_type: String::new(),
        reader_ids: reader_ids.iter().map(|&id| id.to_owned()).collect(),
    };
    UploadRequest {
        part: Some(Part::Commit(commit)),
    }
}

impl House {
    async fn send(&self, thread_id: &str, reader_ids: &[&str]) -> Result<Attachment, Status> {
        let parts = parts(b"text", commit(thread_id, reader_ids));
        Ok(self.client().upload(parts).await?.into_inner())
    }

    async fn keep(&self, user_id: &str, id: &str, reader_id: &str) -> Result<Attachment, Status> {
        let request = KeepAttachmentRequest {
            user_id: user_id.to_owned(),
            id: id.to_owned(),
            reader_id: reader_id.to_owned(),
        };
        Ok(self.client().keep_attachment(request).await?.into_inner())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_read_and_do_nothing_else() {
    for house in House::all().await {
        let stored = house.send("", &[READER, READER]).await.unwrap();
        assert_eq!(stored.thread_id, "");
        let get = GetAttachmentRequest {
            user_id: READER.to_owned(),
            by: Some(By::Id(stored.id.clone())),
        };
        let got = house.client().get_attachment(get).await.unwrap();
        assert_eq!(got.into_inner(), stored);
        let by_reader = by(Access::UserId(READER.to_owned()), &stored.name);
        let (_, bytes) = house.download(by_reader.clone()).await.unwrap();
        assert_eq!(bytes, b"text");
        let sign = SignRequest {
            user_id: READER.to_owned(),
            id: stored.id.clone(),
            lifetime_seconds: 60,
        };
        house.client().sign(sign).await.unwrap();

        let by_stranger = by(Access::UserId(STRANGER.to_owned()), &stored.name);
        assert_eq!(
            reason(house.download(by_stranger).await),
            Reason::AttachmentNotFound
        );
        assert_eq!(
            reason(house.keep(READER, &stored.id, "").await),
            Reason::AttachmentNotFound
        );
        let mut delete = DeleteAttachmentRequest {
            user_id: READER.to_owned(),
            id: stored.id.clone(),
        };
        let refused = house.client().delete_attachment(delete.clone()).await;
        assert_eq!(reason(refused), Reason::AttachmentNotFound);

        delete.user_id = OWNER.to_owned();
        house.client().delete_attachment(delete).await.unwrap();
        assert_eq!(
            reason(house.download(by_reader).await),
            Reason::AttachmentNotFound
        );
        assert_eq!(house.files().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_answers_with_the_file_as_often_as_it_is_asked() {
    for house in House::all().await {
        let stored = house.send("", &[READER]).await.unwrap();
        for reader_id in ["", READER, READER] {
            let kept = house.keep(OWNER, &stored.id, reader_id).await.unwrap();
            assert_eq!(kept, stored);
        }
        let unknown = Uuid::new_v4().to_string();
        for (user_id, id, reader_id) in [
            (OWNER, stored.id.as_str(), STRANGER),
            (OWNER, &stored.id, OWNER),
            (OWNER, &stored.id, "junk"),
            (STRANGER, &stored.id, ""),
            (STRANGER, &stored.id, READER),
            ("junk", &stored.id, ""),
            (OWNER, "junk", ""),
            (OWNER, &unknown, ""),
        ] {
            let refused = house.keep(user_id, id, reader_id).await;
            assert_eq!(
                reason(refused),
                Reason::AttachmentNotFound,
                "{user_id} {id} {reader_id}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_a_thread_are_in_nobodys_thread() {
    for house in House::all().await {
        let stored = house.send("", &[]).await.unwrap();
        let request = DeleteThreadAttachmentsRequest {
            user_id: OWNER.to_owned(),
            thread_id: NO_THREAD.to_owned(),
        };
        let deleted = house.client().delete_thread_attachments(request).await;
        assert_eq!(deleted.unwrap().into_inner().deleted, 0);
        house.download(by_owner(&stored.name)).await.unwrap();
        assert_eq!(reason(house.send(NO_THREAD, &[]).await), Reason::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_few_and_users() {
    for house in House::all().await {
        let many: Vec<_> = (0..101_u128)
            .map(|n| Uuid::from_u128(n).to_string())
            .collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        house.send(THREAD, &many[..100]).await.unwrap();
        assert_eq!(reason(house.send(THREAD, &many).await), Reason::Invalid);
        assert_eq!(
            reason(house.send(THREAD, &[READER, "junk"]).await),
            Reason::Invalid
        );
        assert_eq!(house.files().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages() {
    for house in House::all().await {
        let mut ids = Vec::new();
        for step in 0..5 {
            // The third and the fourth share a time.
            let pause = i64::from(step != 3);
            house.clock.advance(TimeDelta::seconds(pause));
            ids.push(house.send(THREAD, &[]).await.unwrap().id);
        }
        let [.., third, fourth, _] = &mut ids[..] else {
            panic!("there are five");
        };
        if third > fourth {
            std::mem::swap(third, fourth);
        }
        let mut listed = Vec::new();
        for wanted in [2, 2, 1, 0] {
            let request = confab_rpc::attachments::ListAttachmentsRequest {
                user_id: OWNER.to_owned(),
                thread_id: THREAD.to_owned(),
                after: listed.last().cloned().unwrap_or_default(),
                limit: 2,
            };
            let page = house.client().list_attachments(request).await.unwrap();
            let page = page.into_inner().attachments;
            assert_eq!(page.len(), wanted);
            listed.extend(page.into_iter().map(|found| found.id));
        }
        assert_eq!(listed, ids);
        for after in ["junk", NO_THREAD] {
            let request = confab_rpc::attachments::ListAttachmentsRequest {
                user_id: OWNER.to_owned(),
                thread_id: THREAD.to_owned(),
                after: after.to_owned(),
                limit: 2,
            };
            let refused = house.client().list_attachments(request).await;
            assert_eq!(reason(refused), Reason::AttachmentNotFound);
        }
    }
}
