//! Who may read a file, and what others are told.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::attachments::download_request::{Access, Signature};
use confab_rpc::attachments::get_attachment_request::By;
use confab_rpc::attachments::{
    Attachment, DeleteAttachmentRequest, DownloadRequest, GetAttachmentRequest, SignRequest,
};
use tonic::Status;

use crate::{House, OWNER, STRANGER, by, by_owner, reason};

impl House {
    async fn get(&self, user_id: &str, by: By) -> Result<Attachment, Status> {
        let request = GetAttachmentRequest {
            user_id: user_id.to_owned(),
            by: Some(by),
        };
        Ok(self.client().get_attachment(request).await?.into_inner())
    }

    async fn link(
        &self,
        user_id: &str,
        id: &str,
        lifetime_seconds: u32,
    ) -> Result<DownloadRequest, Status> {
        let request = SignRequest {
            user_id: user_id.to_owned(),
            id: id.to_owned(),
            lifetime_seconds,
        };
        let signed = self.client().sign(request).await?.into_inner();
        let query = signed.query.strip_prefix("expires=").unwrap();
        let (expires, mac) = query.split_once("&signature=").unwrap();
        Ok(by_signature(&signed.name, expires.parse().unwrap(), mac))
    }
}

fn by_signature(name: &str, expires: i64, mac: &str) -> DownloadRequest {
    let mac = mac.to_owned();
    by(Access::Signature(Signature { expires, mac }), name)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_gets_anywhere() {
    for house in House::all().await {
        let stored = house.upload("a.txt", b"text").await;
        let (id, name) = (&stored.id, &stored.name);
        assert_eq!(house.get(OWNER, By::Id(id.clone())).await.unwrap(), stored);
        assert_eq!(
            house.get(OWNER, By::Name(name.clone())).await.unwrap(),
            stored
        );
        for user in [STRANGER, "", "junk", "' OR 1=1 --"] {
            let not_there = Reason::AttachmentNotFound;
            assert_eq!(
                reason(house.get(user, By::Id(id.clone())).await),
                not_there,
                "{user}"
            );
            assert_eq!(
                reason(house.get(user, By::Name(name.clone())).await),
                not_there,
                "{user}"
            );
            let request = by(Access::UserId(user.to_owned()), name);
            assert_eq!(reason(house.download(request).await), not_there, "{user}");
            assert_eq!(reason(house.link(user, id, 60).await), not_there, "{user}");
            let request = DeleteAttachmentRequest {
                user_id: user.to_owned(),
                id: id.clone(),
            };
            assert_eq!(
                reason(house.client().delete_attachment(request).await),
                not_there,
                "{user}"
            );
        }
        house.download(by_owner(name)).await.unwrap();
    }
}

/// Nobody learns from an answer whether a file exists that is not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn not_yours_and_not_there_are_the_same_words() {
    for house in House::all().await {
        let stored = house.upload("a.txt", b"text").await;
        let unknown = "00000000-0000-4000-8000-000000000000".to_owned();
        let theirs = house.get(STRANGER, By::Id(stored.id)).await.unwrap_err();
        let nobodys = house.get(STRANGER, By::Id(unknown)).await.unwrap_err();
        assert_eq!(theirs.code(), nobodys.code());
        assert_eq!(theirs.message(), nobodys.message());
        assert_eq!(theirs.details(), nobodys.details());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_a_credential_only_when_that_is_said() {
    for house in House::all().await {
        let stored = house.upload("a.txt", b"text").await;
        let (_, bytes) = house
            .download(by(Access::NameSuffices(true), &stored.name))
            .await
            .unwrap();
        assert_eq!(bytes, b"text");
        let refused = by(Access::NameSuffices(false), &stored.name);
        assert_eq!(
            reason(house.download(refused).await),
            Reason::AttachmentNotFound
        );
        let silent = DownloadRequest {
            access: None,
            ..by_owner(&stored.name)
        };
        assert_eq!(
            reason(house.download(silent).await),
            Reason::AttachmentNotFound
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whole_names_lead_to_a_file() {
    for house in House::all().await {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "not an attachment").unwrap();
        let stored = house.upload("a.txt", b"text").await;
        let digits = stored.id.replace('-', "");
        for name in [
            "../secret".to_owned(),
            "..%2fsecret".to_owned(),
            secret.display().to_string(),
            format!("{digits}/../../../../secret"),
            format!("{}/{}/{digits}", &digits[..2], &digits[2..4]),
            digits.clone(),
            format!("{digits}.pdf"),
            format!("{digits}.TXT"),
            format!("{}.txt", digits.to_uppercase()),
            format!("{digits}.txt\0"),
            format!("{digits}.txt/"),
            format!("{}.txt", stored.id),
            stored.id.clone(),
            "staging".to_owned(),
            ".".to_owned(),
            String::new(),
            "x".repeat(100_000),
        ] {
            for access in [Access::NameSuffices(true), Access::UserId(OWNER.to_owned())] {
                let read = house.download(by(access, &name)).await;
                assert_eq!(reason(read), Reason::AttachmentNotFound, "{name:.80}");
            }
            let found = house.get(OWNER, By::Name(name.clone())).await;
            assert_eq!(reason(found), Reason::AttachmentNotFound, "{name:.80}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_one_file_until_it_expires() {
    for house in House::all().await {
        let stored = house.upload("a.txt", b"text").await;
        let other = house.upload("b.txt", b"other").await;
        let link = house.link(OWNER, &stored.id, 60).await.unwrap();
        let (_, bytes) = house.download(link.clone()).await.unwrap();
        assert_eq!(bytes, b"text");

        let Some(Access::Signature(Signature { expires, mac })) = link.access.clone() else {
            panic!("a link carries a signature");
        };
        for forged in [
            by_signature(&other.name, expires, &mac),
            by_signature(&stored.name, expires + 1, &mac),
            by_signature(&stored.name, i64::MAX, &mac),
            by_signature(&stored.name, expires, ""),
            by_signature(&stored.name, expires, "AAAA"),
            by_signature(&stored.name, expires, &mac.replace(['-', '_'], "+")[1..]),
            by_signature("00112233445566778899aabbccddeeff.txt", expires, &mac),
        ] {
            assert_eq!(
                reason(house.download(forged).await),
                Reason::SignatureInvalid
            );
        }

        house.clock.advance(TimeDelta::seconds(61));
        assert_eq!(reason(house.download(link).await), Reason::SignatureInvalid);
        for lifetime in [0, 3_601, u32::MAX] {
            assert_eq!(
                reason(house.link(OWNER, &stored.id, lifetime).await),
                Reason::Invalid
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_does_not_outlive_its_file() {
    for house in House::all().await {
        let stored = house.upload("a.txt", b"text").await;
        let link = house.link(OWNER, &stored.id, 3_600).await.unwrap();
        let request = DeleteAttachmentRequest {
            user_id: OWNER.to_owned(),
            id: stored.id,
        };
        house.client().delete_attachment(request).await.unwrap();
        assert_eq!(
            reason(house.download(link).await),
            Reason::AttachmentNotFound
        );
    }
}
