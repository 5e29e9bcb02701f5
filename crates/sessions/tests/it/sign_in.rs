//! Registering, signing in, staying signed in, signing out.

use chrono::TimeDelta;
use confab_rpc::sessions::sign_out_request::By;
use confab_rpc::sessions::{
    ListRevocationsRequest, RefreshRequest, RegisterRequest, Revocation, SignOutRequest, SignedIn,
    User, sign_in_request,
};
use confab_rpc::{Fault, Reason};
use sea_orm::{ConnectionTrait, Statement};
use tonic::Status;

use crate::house::{House, both, both_with, refusal, settings, start};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn newcomer(username: &str, email: &str) -> RegisterRequest {
    RegisterRequest {
        username: username.to_owned(),
        password: PASSWORD.to_owned(),
        email: email.to_owned(),
        ..Default::default()
    }
}

impl House {
    pub(crate) async fn register(&self, request: RegisterRequest) -> Result<User, Status> {
        let user = self.sessions.clone().register(request).await?;
        Ok(user.into_inner())
    }

    pub(crate) async fn signed_in(&self, username: &str) -> SignedIn {
        let by = sign_in_request::By::Username(username.to_owned());
        self.sign_in(by, PASSWORD, "192.0.2.1").await.unwrap()
    }

    pub(crate) async fn refresh(&self, refresh: &str) -> Result<SignedIn, Status> {
        let refresh = refresh.to_owned();
        let request = RefreshRequest { refresh };
        Ok(self.sessions.clone().refresh(request).await?.into_inner())
    }

    async fn sign_out(&self, by: By) {
        let request = SignOutRequest { by: Some(by) };
        self.sessions.clone().sign_out(request).await.unwrap();
    }

    async fn revocations(&self, after_id: i64) -> (Vec<Revocation>, i64) {
        let request = ListRevocationsRequest { after_id };
        let listed = self.sessions.clone().list_revocations(request).await;
        let listed = listed.unwrap().into_inner();
        (listed.revocations, listed.last_id)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_what_the_operator_grants_and_signs_in_by_name_or_address() {
    for house in both().await {
        let user = house.register(newcomer("ann", "Ann@Example.org")).await;
        let user = user.unwrap();
        assert_eq!(user.models, [4, 8]);
        assert_eq!(house.account(&user).await.balance_microdollars, 5);
        for by in [
            sign_in_request::By::Username("ann".to_owned()),
            sign_in_request::By::Email("ann@example.ORG".to_owned()),
        ] {
            let signed_in = house.sign_in(by, PASSWORD, "").await.unwrap();
            assert_eq!(signed_in.user.unwrap(), user);
            let expires = signed_in.access_expires_at.unwrap().seconds;
            assert_eq!(expires, start().timestamp() + 600);
            let verified = house.verify(&signed_in.access).await.unwrap();
            assert_eq!(verified.user.unwrap(), user);
            assert!(!verified.session_id.is_empty());
            assert_eq!(verified.connection_seconds, 2_592_000);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_may_be_given_more_than_the_operator_grants_everybody() {
    for house in both().await {
        let endowed = |deposit_microdollars| RegisterRequest {
            models: vec![9, 4],
            deposit_microdollars,
            ..newcomer("ann", "")
        };
        let refused = house.register(endowed(-1)).await.unwrap_err();
        assert_eq!(Fault::from(refused).reason, Reason::Invalid);
        let user = house.register(endowed(7)).await.unwrap();
        assert_eq!(user.models, [4, 8, 9]);
        assert_eq!(house.account(&user).await.balance_microdollars, 5 + 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_are_given_once() {
    for house in both().await {
        house
            .register(newcomer("ann", "ann@example.org"))
            .await
            .unwrap();
        let again = house.register(newcomer("ann", "")).await;
        assert_eq!(refusal(again), Reason::UsernameTaken);
        let again = house.register(newcomer("bob", "ANN@example.org")).await;
        assert_eq!(refusal(again), Reason::EmailTaken);
        house.register(newcomer("bob", "")).await.unwrap();
        house.register(newcomer("cid", "")).await.unwrap();
        for (username, password, email) in [
            ("", PASSWORD, ""),
            ("dan", "seven..", ""),
            ("dan", "Password1", ""),
            ("daniel99", "Daniel99", ""),
            ("dan", "dan@example.org", "dan@example.org"),
            ("dan", PASSWORD, "no address"),
        ] {
            let mut request = newcomer(username, email);
            request.password = password.to_owned();
            let refused = house.register(request).await;
            assert_eq!(refusal(refused), Reason::Invalid, "{username} {password}");
        }
        let mut request = newcomer("dan", "");
        request.password = "x".repeat(257);
        let refused = house.register(request).await;
        assert_eq!(refusal(refused), Reason::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_make_the_users_alone() {
    let mut settings = settings();
    settings.registration.open = false;
    for house in both_with(&settings).await {
        let refused = house.register(newcomer("ann", "")).await;
        assert_eq!(refusal(refused), Reason::RegistrationClosed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_a_password_is_its_argon2id_hash() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let database = &house.scratch.database;
        let query = Statement::from_string(database.backend(), "SELECT hash FROM password");
        let row = database.read().query_one_raw(query).await.unwrap().unwrap();
        let hash: String = row.try_get("", "hash").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_unknown_read_alike() {
    for house in both().await {
        house.user("carol", 0).await;
        house.register(newcomer("ann", "")).await.unwrap();
        let name = |name: &str| sign_in_request::By::Username(name.to_owned());
        let mut answers = Vec::new();
        for (by, password) in [
            (name("ann"), "wrong horse battery"),
            (name("Ann"), PASSWORD),
            (name("nobody"), PASSWORD),
            (name(""), PASSWORD),
            // Made by the operator, without a password.
            (name("carol"), ""),
            (sign_in_request::By::Email(String::new()), PASSWORD),
        ] {
            let refused = house.sign_in(by, password, "").await.unwrap_err();
            answers.push((refused.code(), refused.message().to_owned()));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_taken_for_another_and_an_old_one_ends_the_session() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let first = house.signed_in("ann").await;
        let second = house.refresh(&first.refresh).await.unwrap();
        let repeated = house.refresh(&first.refresh).await.unwrap();
        assert_ne!(second.refresh, repeated.refresh);
        let third = house.refresh(&repeated.refresh).await.unwrap();
        house.verify(&third.access).await.unwrap();

        let (_, position) = house.revocations(0).await;
        house.clock.advance(TimeDelta::seconds(11));
        let thief = house.refresh(&second.refresh).await;
        assert_eq!(refusal(thief), Reason::TokenInvalid);
        let owner = house.refresh(&third.refresh).await;
        assert_eq!(refusal(owner), Reason::TokenInvalid);
        let access = house.verify(&third.access).await;
        assert_eq!(access.unwrap_err(), Reason::TokenInvalid);
        let (revoked, _) = house.revocations(position).await;
        assert_eq!(revoked.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_refresh_token_at_once_keeps_the_session() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let first = house.signed_in("ann").await.refresh;
        let go = || house.refresh(&first);
        let all = tokio::join!(go(), go(), go(), go(), go(), go());
        let mut next: Vec<String> = [all.0, all.1, all.2, all.3, all.4, all.5]
            .into_iter()
            .map(|signed_in| signed_in.unwrap().refresh)
            .collect();
        next.sort();
        next.dedup();
        assert_eq!(next.len(), 6);
        house.refresh(&next[0]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_last() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let mut signed_in = house.signed_in("ann").await;
        for _ in 0..29 {
            house.clock.advance(TimeDelta::days(1));
            signed_in = house.refresh(&signed_in.refresh).await.unwrap();
        }
        house
            .clock
            .advance(TimeDelta::hours(24) - TimeDelta::seconds(60));
        signed_in = house.refresh(&signed_in.refresh).await.unwrap();
        let expires = signed_in.access_expires_at.unwrap().seconds;
        assert_eq!(expires, start().timestamp() + 2_592_000);
        house.clock.advance(TimeDelta::seconds(60));
        let late = house.refresh(&signed_in.refresh).await;
        assert_eq!(refusal(late), Reason::TokenExpired);
        let access = house.verify(&signed_in.access).await;
        assert_eq!(access.unwrap_err(), Reason::TokenInvalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_one_session_and_is_told_once() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let here = house.signed_in("ann").await;
        let there = house.signed_in("ann").await;
        let other = house.signed_in("ann").await;
        let there_id = house.verify(&there.access).await.unwrap().session_id;
        let (none, position) = house.revocations(0).await;
        assert!(none.is_empty() && position > 0);

        house.sign_out(By::Refresh(here.refresh.clone())).await;
        house.sign_out(By::Refresh(here.refresh.clone())).await;
        house.sign_out(By::SessionId(there_id.clone())).await;
        house.sign_out(By::Refresh("nothing".to_owned())).await;
        house.sign_out(By::SessionId("nothing".to_owned())).await;

        for ended in [&here, &there] {
            let access = house.verify(&ended.access).await;
            assert_eq!(access.unwrap_err(), Reason::TokenInvalid);
            let refresh = house.refresh(&ended.refresh).await;
            assert_eq!(refusal(refresh), Reason::TokenInvalid);
        }
        house.verify(&other.access).await.unwrap();
        let (revoked, last) = house.revocations(position).await;
        assert_eq!(revoked.len(), 2);
        assert_eq!(revoked[1].session_id, there_id);
        assert_eq!(revoked[1].id, last);
        assert_eq!(house.revocations(last).await, (Vec::new(), last));
        assert_eq!(house.revocations(0).await, (Vec::new(), last));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_at_once_are_all_told_in_order() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let (_, position) = house.revocations(0).await;
        let mut refreshes = Vec::new();
        for _ in 0..4 {
            refreshes.push(house.signed_in("ann").await.refresh);
        }
        let out = |index: usize| house.sign_out(By::Refresh(refreshes[index].clone()));
        tokio::join!(out(0), out(1), out(2), out(3), out(0), out(1));
        let (revoked, _) = house.revocations(position).await;
        let ids: Vec<i64> = revoked.iter().map(|revocation| revocation.id).collect();
        assert_eq!(ids, (position + 1..=position + 4).collect::<Vec<_>>());
    }
}
