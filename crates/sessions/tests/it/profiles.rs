//! What front ends show of users.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::sessions::{GetProfilesRequest, Profile, UpdateProfileRequest, User};
use tonic::Status;
use uuid::Uuid;

use crate::house::{House, both, refusal, start};
use crate::sign_in::newcomer;

impl House {
    async fn profiles(&self, user_ids: Vec<String>) -> Result<Vec<Profile>, Status> {
        let request = GetProfilesRequest { user_ids };
        let profiles = self.sessions.clone().get_profiles(request).await?;
        Ok(profiles.into_inner().profiles)
    }

    async fn update(&self, request: UpdateProfileRequest) -> Result<Profile, Status> {
        let profile = self.sessions.clone().update_profile(request).await?;
        Ok(profile.into_inner())
    }
}

fn change(user: &User) -> UpdateProfileRequest {
    UpdateProfileRequest {
        user_id: user.id.clone(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_come_in_the_order_asked_for_without_the_unknown() {
    for house in both().await {
        let ann = house
            .register(newcomer("ann", "ann@example.org"))
            .await
            .unwrap();
        let bob = house.user("bob", 0).await;
        let ids = vec![
            bob.id.clone(),
            "nobody".to_owned(),
            Uuid::now_v7().to_string(),
            ann.id.clone(),
            bob.id.clone(),
        ];
        let profiles = house.profiles(ids).await.unwrap();
        let names: Vec<_> = profiles.iter().map(|it| it.username.as_str()).collect();
        assert_eq!(names, ["bob", "ann", "bob"]);
        assert_eq!(profiles[1].email, "ann@example.org");
        assert_eq!(profiles[1].number, ann.number);
        assert_eq!(profiles[0].email, "");
        assert_eq!(profiles[0].updated_at, profiles[0].created_at);
        assert!(house.profiles(Vec::new()).await.unwrap().is_empty());
        let many = house.profiles(vec![ann.id; 1001]).await;
        assert_eq!(refusal(many), Reason::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_changes_and_the_rest_stays() {
    for house in both().await {
        let ann = house
            .register(newcomer("ann", "ann@example.org"))
            .await
            .unwrap();
        house.clock.advance(TimeDelta::hours(1));
        let mut request = change(&ann);
        request.fullname = Some(" Ann Ångström ".to_owned());
        request.date_of_birth = Some("2000-02-29".to_owned());
        request.photo = Some("/media/ann.png".to_owned());
        let profile = house.update(request).await.unwrap();
        assert_eq!(profile.fullname, "Ann Ångström");
        assert_eq!(profile.date_of_birth, "2000-02-29");
        assert_eq!(profile.email, "ann@example.org");
        assert_eq!(
            profile.updated_at.unwrap().seconds,
            start().timestamp() + 3_600
        );
        let read = house.profiles(vec![ann.id.clone()]).await.unwrap();
        assert_eq!(read, [profile]);

        let mut request = change(&ann);
        request.email = Some(String::new());
        request.date_of_birth = Some(String::new());
        let profile = house.update(request).await.unwrap();
        assert_eq!((profile.email, profile.date_of_birth), Default::default());
        assert_eq!(profile.fullname, "Ann Ångström");
        // The address is free again.
        house
            .register(newcomer("bob", "ann@example.org"))
            .await
            .unwrap();
        let mut request = change(&ann);
        request.email = Some("Ann@example.org".to_owned());
        assert_eq!(refusal(house.update(request).await), Reason::EmailTaken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_profile_may_hold_is_refused() {
    for house in both().await {
        let ann = house.user("ann", 0).await;
        let wrong: [fn(&mut UpdateProfileRequest); 9] = [
            |it| it.email = Some("two@at@signs".to_owned()),
            |it| it.fullname = Some("x".repeat(256)),
            |it| it.fullname = Some("two\nlines".to_owned()),
            |it| it.country_code = Some("123456789".to_owned()),
            |it| it.phone_number = Some("1".repeat(33)),
            |it| it.photo = Some("x".repeat(2049)),
            |it| it.date_of_birth = Some("2001-02-29".to_owned()),
            |it| it.date_of_birth = Some("1899-12-31".to_owned()),
            |it| it.date_of_birth = Some("2999-01-01".to_owned()),
        ];
        for wrong in wrong {
            let mut request = change(&ann);
            wrong(&mut request);
            assert_eq!(refusal(house.update(request).await), Reason::Invalid);
        }
        for id in ["ann".to_owned(), Uuid::now_v7().to_string()] {
            let nobody = User {
                id,
                ..Default::default()
            };
            let refused = house.update(change(&nobody)).await;
            assert_eq!(refusal(refused), Reason::UserNotFound);
        }
    }
}
