//! Tickets: good once, for a moment.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::sessions::{IssueTicketRequest, User};
use tonic::Status;
use uuid::Uuid;

use crate::house::{House, both, refusal};
use crate::sign_in::newcomer;

impl House {
    async fn ticket(&self, user: &User, session_id: &str) -> Result<String, Status> {
        let request = IssueTicketRequest {
            user_id: user.id.clone(),
            session_id: session_id.to_owned(),
            connection_seconds: 77,
        };
        let ticket = self.sessions.clone().issue_ticket(request).await?;
        Ok(ticket.into_inner().ticket)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_stands_for_its_user_once_and_for_a_moment() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let ticket = house.ticket(&user, "").await.unwrap();
        assert!(ticket.starts_with("ticket_"));
        let verified = house.verify(&ticket).await.unwrap();
        assert_eq!(verified.user.as_ref(), Some(&user));
        assert_eq!(verified.session_id, "");
        assert_eq!(verified.connection_seconds, 77);
        let again = house.verify(&ticket).await;
        assert_eq!(again.unwrap_err(), Reason::TokenInvalid);

        let late = house.ticket(&user, "").await.unwrap();
        house.clock.advance(TimeDelta::seconds(30));
        let late = house.verify(&late).await;
        assert_eq!(late.unwrap_err(), Reason::TokenExpired);
        let forged = house.verify("ticket_").await;
        assert_eq!(forged.unwrap_err(), Reason::TokenInvalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_who_come_with_a_ticket_one_is_let_in() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let ticket = house.ticket(&user, "").await.unwrap();
        let go = || house.verify(&ticket);
        let all = tokio::join!(go(), go(), go(), go(), go(), go());
        let all = [all.0, all.1, all.2, all.3, all.4, all.5];
        assert_eq!(all.iter().filter(|verified| verified.is_ok()).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_belongs_to_its_session() {
    for house in both().await {
        let user = house.register(newcomer("ann", "")).await.unwrap();
        let stranger = house.user("bob", 0).await;
        let signed_in = house.signed_in("ann").await;
        let session = house.verify(&signed_in.access).await.unwrap().session_id;
        let ticket = house.ticket(&user, &session).await.unwrap();
        let verified = house.verify(&ticket).await.unwrap();
        assert_eq!(verified.session_id, session);
        assert_eq!(verified.connection_seconds, 2_592_000);

        let foreign = house.ticket(&stranger, &session).await;
        assert_eq!(refusal(foreign), Reason::Invalid);
        let unknown = house.ticket(&user, &Uuid::now_v7().to_string()).await;
        assert_eq!(refusal(unknown), Reason::Invalid);
        let nobody = User::default();
        let nobodys = house.ticket(&nobody, "").await;
        assert_eq!(refusal(nobodys), Reason::UserNotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_no_token() {
    for house in both().await {
        house.register(newcomer("ann", "")).await.unwrap();
        let refresh = house.signed_in("ann").await.refresh;
        let refused = house.verify(&refresh).await;
        assert_eq!(refused.unwrap_err(), Reason::TokenInvalid);
    }
}
