//! How attempts to guess a password are slowed down.

use chrono::TimeDelta;
use confab_rpc::sessions::sign_in_request::By;
use confab_rpc::sessions::{SignInRequest, SignedIn};
use confab_rpc::{Fault, Reason};
use tonic::Status;

use crate::house::{House, both, open, refusal, settings};
use crate::sign_in::{PASSWORD, newcomer};

impl House {
    pub(crate) async fn sign_in(
        &self,
        by: By,
        password: &str,
        client_address: &str,
    ) -> Result<SignedIn, Status> {
        let request = SignInRequest {
            by: Some(by),
            password: password.to_owned(),
            client_address: client_address.to_owned(),
        };
        Ok(self.sessions.clone().sign_in(request).await?.into_inner())
    }

    async fn guess(&self, name: &str, password: &str, address: &str) -> Result<SignedIn, Status> {
        let by = By::Username(name.to_owned());
        self.sign_in(by, password, address).await
    }
}

/// For how many seconds a refused caller must wait.
fn wait(refused: Result<SignedIn, Status>) -> u64 {
    let fault = Fault::from(refused.unwrap_err());
    assert_eq!(fault.reason, Reason::Throttled);
    fault.limit.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_get_slower_and_a_right_password_after_the_wait_is_let_in() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        for seconds in [0, 0, 0, 0, 1, 2, 4, 8] {
            let wrong = house.guess("ann", "wrong", "192.0.2.1").await;
            assert_eq!(refusal(wrong), Reason::CredentialsWrong);
            if seconds > 0 {
                let right = house.guess("ann", PASSWORD, "192.0.2.1").await;
                assert_eq!(wait(right), seconds);
            }
            house
                .clock
                .advance(TimeDelta::seconds(seconds.try_into().unwrap()));
        }
        house.guess("ann", PASSWORD, "192.0.2.1").await.unwrap();
        // What was wrong before is forgotten.
        for _ in 0..4 {
            let wrong = house.guess("ann", "wrong", "192.0.2.1").await;
            assert_eq!(refusal(wrong), Reason::CredentialsWrong);
        }
        house.guess("ann", PASSWORD, "192.0.2.1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_does_not_lock_the_owner_out() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        for _ in 0..20 {
            // Right or refused does not matter here.
            let _ = house.guess("ann", "wrong", "192.0.2.66").await;
            house.clock.advance(TimeDelta::seconds(1));
        }
        house.guess("ann", PASSWORD, "192.0.2.1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_tries_many_names_is_slowed_down() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        for index in 0..21 {
            let host = format!("2001:db8:1:2::{index:x}");
            let wrong = house.guess(&format!("user {index}"), "wrong", &host).await;
            assert_eq!(refusal(wrong), Reason::CredentialsWrong);
        }
        let same_network = house.guess("ann", PASSWORD, "2001:db8:1:2:ffff::1").await;
        assert_eq!(wait(same_network), 1);
        house
            .guess("ann", PASSWORD, "2001:db8:1:3::1")
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_once_and_at_several_replicas_are_counted_together() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let other = House {
            sessions: open(&house.scratch, &settings(), &house.clock).await,
            clock: house.clock.clone(),
            scratch: house.scratch,
        };
        let here = house.sessions;
        let guess = |replica: usize| {
            let request = SignInRequest {
                by: Some(By::Username("ann".to_owned())),
                password: "wrong".to_owned(),
                client_address: "192.0.2.1".to_owned(),
            };
            let mut sessions = match replica % 2 {
                0 => here.clone(),
                _ => other.sessions.clone(),
            };
            async move { refusal(sessions.sign_in(request).await) }
        };
        let all = tokio::join!(
            guess(0),
            guess(1),
            guess(2),
            guess(3),
            guess(4),
            guess(5),
            guess(6),
            guess(7),
        );
        let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
        let compared = all
            .iter()
            .filter(|reason| **reason == Reason::CredentialsWrong);
        assert_eq!(compared.count(), 5);
        let refused = all.iter().filter(|reason| **reason == Reason::Throttled);
        assert_eq!(refused.count(), 3);
    }
}
