//! API keys: who they speak for, what they may ask, and what they may cost.

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::sessions::{
    ApiKey, CreateApiKeyRequest, CreatedApiKey, GrantModelsRequest, ListApiKeysRequest,
    ReserveRequest, RevokeApiKeyRequest, User,
};
use sea_orm::{ConnectionTrait, Statement};
use tokio::task::JoinSet;
use tonic::Status;
use uuid::Uuid;

use crate::house::{House, both, refusal, start};
use crate::money::{MODEL, reserve, settle, wish};

impl House {
    async fn make_key(&self, request: CreateApiKeyRequest) -> Result<CreatedApiKey, Status> {
        let made = self.sessions.clone().create_api_key(request).await;
        made.map(tonic::Response::into_inner)
    }

    /// A key with a budget, or with none.
    async fn key(&self, user: &User, budget: Option<i64>) -> (ApiKey, String) {
        let request = CreateApiKeyRequest {
            budget_microdollars: budget,
            ..asked(user)
        };
        let made = self.make_key(request).await.unwrap();
        (made.key.unwrap(), made.secret)
    }

    async fn keys(&self, user: &User) -> Vec<ApiKey> {
        let request = ListApiKeysRequest {
            user_id: user.id.clone(),
        };
        let keys = self.sessions.clone().list_api_keys(request).await;
        keys.unwrap().into_inner().keys
    }

    async fn revoke(&self, user: &User, key: &str) -> Result<ApiKey, Status> {
        let request = RevokeApiKeyRequest {
            user_id: user.id.clone(),
            key_id: key.to_owned(),
        };
        let revoked = self.sessions.clone().revoke_api_key(request).await;
        revoked.map(tonic::Response::into_inner)
    }

    /// What a key has spent as its row says, and as the ledger does.
    async fn spent(&self, user: &User, key: &ApiKey) -> (i64, i64) {
        let keys = self.keys(user).await;
        let said = keys.iter().find(|it| it.id == key.id).unwrap();
        let connection = self.scratch.database.read();
        let booked = Statement::from_sql_and_values(
            connection.get_database_backend(),
            "SELECT CAST(COALESCE(-SUM(amount_microdollars), 0) AS BIGINT) AS booked \
             FROM ledger WHERE api_key_id = $1",
            [key.id.parse::<Uuid>().unwrap().into()],
        );
        let row = connection.query_one_raw(booked).await.unwrap().unwrap();
        (said.spent_microdollars, row.try_get("", "booked").unwrap())
    }
}

/// A key with all scopes and models, no budget and no end.
fn asked(user: &User) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        user_id: user.id.clone(),
        name: "deploy".to_owned(),
        ..Default::default()
    }
}

/// What a run through a key wants.
fn through(key: &ApiKey, user: &User, minimum: i64, maximum: i64) -> ReserveRequest {
    ReserveRequest {
        api_key_id: key.id.clone(),
        ..wish(user, Uuid::now_v7(), minimum, maximum)
    }
}

fn run_of(request: &ReserveRequest) -> Uuid {
    request.run_id.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_speaks_for_its_user_until_it_is_revoked() {
    for house in both().await {
        let ann = house.user("ann", 0).await;
        let (key, secret) = house.key(&ann, None).await;
        assert!(secret.starts_with("sk-confab-") && secret.len() == 53);
        assert_eq!(key.hint, secret[49..]);
        assert_eq!(
            key.scopes,
            ["models", "chat", "embeddings", "conversations"]
        );
        let verified = house.verify(&secret).await.unwrap();
        assert_eq!(verified.user.as_ref(), Some(&ann));
        assert_eq!(verified.api_key.as_ref(), Some(&key));
        assert_eq!(verified.session_id, "");
        assert_eq!(verified.expires_at, None);
        assert_eq!(verified.connection_seconds, 3_600);

        let mut forged = secret.clone();
        forged.replace_range(20..21, if &secret[20..21] == "A" { "B" } else { "A" });
        for other in ["sk-confab-", forged.as_str()] {
            let refused = house.verify(other).await;
            assert_eq!(refused.unwrap_err(), Reason::TokenInvalid);
        }
        let revoked = house.revoke(&ann, &key.id).await.unwrap();
        assert_eq!(revoked.revoked_at.unwrap().seconds, start().timestamp());
        let refused = house.verify(&secret).await;
        assert_eq!(refused.unwrap_err(), Reason::TokenInvalid);
        house.clock.advance(TimeDelta::hours(1));
        assert_eq!(house.revoke(&ann, &key.id).await.unwrap(), revoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_when_it_was_made_to() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let request = CreateApiKeyRequest {
            lifetime_seconds: 60,
            ..asked(&ann)
        };
        let made = house.make_key(request).await.unwrap();
        let key = made.key.unwrap();
        let verified = house.verify(&made.secret).await.unwrap();
        assert_eq!(verified.expires_at, key.expires_at);
        assert_eq!(verified.connection_seconds, 60);
        house.reserve(through(&key, &ann, 0, 1)).await.unwrap();
        house.clock.advance(TimeDelta::seconds(60));
        let late = house.verify(&made.secret).await;
        assert_eq!(late.unwrap_err(), Reason::TokenExpired);
        let late = house.reserve(through(&key, &ann, 0, 1)).await;
        assert_eq!(refusal(late), Reason::ApiKeyNotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_for_their_user_the_newest_first() {
    for house in both().await {
        let (ann, bob) = (house.user("ann", 0).await, house.user("bob", 0).await);
        assert!(house.keys(&ann).await.is_empty());
        let request = CreateApiKeyRequest {
            name: "first".to_owned(),
            scopes: vec!["chat".to_owned(), "models".to_owned()],
            models: vec![MODEL, MODEL],
            budget_microdollars: Some(0),
            lifetime_seconds: 60,
            ..asked(&ann)
        };
        let first = house.make_key(request).await.unwrap().key.unwrap();
        assert_eq!(first.scopes, ["models", "chat"]);
        assert_eq!(first.models, [MODEL]);
        let (second, _) = house.key(&ann, None).await;
        house.key(&bob, None).await;
        let first = house.revoke(&ann, &first.id).await.unwrap();
        assert_eq!(house.keys(&ann).await, [second.clone(), first]);

        let unknown = Uuid::now_v7().to_string();
        for (user, key) in [(&bob, &second.id), (&ann, &unknown), (&ann, &ann.username)] {
            let refused = house.revoke(user, key).await;
            assert_eq!(refusal(refused), Reason::ApiKeyNotFound);
        }
        let nobody = ListApiKeysRequest { user_id: unknown };
        let refused = house.sessions.clone().list_api_keys(nobody).await;
        assert_eq!(refusal(refused), Reason::UserNotFound);
    }
}

/// What is wrong with a request.
type Mistake = fn(&mut CreateApiKeyRequest);

#[tokio::test(flavor = "multi_thread")]
async fn what_no_key_may_be_is_refused() {
    for house in both().await {
        let ann = house.user("ann", 0).await;
        let wrong: [(Mistake, Reason); 6] = [
            (|it| it.user_id.clear(), Reason::UserNotFound),
            (|it| it.models = vec![MODEL, 5], Reason::ModelNotGranted),
            (|it| it.scopes = vec!["admin".to_owned()], Reason::Invalid),
            (|it| it.name = "x".repeat(256), Reason::Invalid),
            (|it| it.budget_microdollars = Some(-1), Reason::Invalid),
            (
                |it| it.user_id = Uuid::now_v7().to_string(),
                Reason::UserNotFound,
            ),
        ];
        for (wrong, reason) in wrong {
            let mut request = asked(&ann);
            wrong(&mut request);
            assert_eq!(refusal(house.make_key(request).await), reason);
        }
        assert!(house.keys(&ann).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_asks_models_that_both_it_and_its_user_may() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let grant = async |models: &[i32]| {
            let request = GrantModelsRequest {
                user_id: ann.id.clone(),
                models: models.to_vec(),
            };
            house.sessions.clone().grant_models(request).await.unwrap();
        };
        grant(&[MODEL, 5]).await;
        let request = CreateApiKeyRequest {
            models: vec![MODEL],
            ..asked(&ann)
        };
        let narrow = house.make_key(request).await.unwrap().key.unwrap();
        let (wide, _) = house.key(&ann, None).await;
        let ask = async |key: &ApiKey, model_id| {
            let request = ReserveRequest {
                model_id,
                ..through(key, &ann, 0, 1)
            };
            house.reserve(request).await
        };
        ask(&narrow, MODEL).await.unwrap();
        assert_eq!(refusal(ask(&narrow, 5).await), Reason::ModelNotGranted);
        ask(&wide, 5).await.unwrap();
        grant(&[5]).await;
        assert_eq!(refusal(ask(&narrow, MODEL).await), Reason::ModelNotGranted);
        assert_eq!(refusal(ask(&wide, MODEL).await), Reason::ModelNotGranted);
        assert_eq!(refusal(ask(&narrow, 5).await), Reason::ModelNotGranted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_bounds_what_is_held_and_what_is_paid() {
    for house in both().await {
        let ann = house.user("ann", 1_000).await;
        let (key, _) = house.key(&ann, Some(100)).await;
        let first = through(&key, &ann, 10, 60);
        assert_eq!(house.reserve(first.clone()).await.unwrap(), 60);
        let second = through(&key, &ann, 10, 60);
        assert_eq!(house.reserve(second.clone()).await.unwrap(), 40);
        let third = house.reserve(through(&key, &ann, 0, 60)).await;
        assert_eq!(refusal(third), Reason::BudgetExceeded);
        // Without the key there is more.
        let own = Uuid::now_v7();
        assert_eq!(house.reserve(wish(&ann, own, 0, 60)).await.unwrap(), 60);
        house.settle(own, 60).await.unwrap();
        assert_eq!(house.spent(&ann, &key).await, (0, 0));

        let settled = house.settle(run_of(&first), 20).await.unwrap();
        assert_eq!(settled.charged_microdollars, 20);
        assert_eq!(settled.available_microdollars, 100 - 20 - 40);
        assert_eq!(house.spent(&ann, &key).await, (20, 20));
        // 40 are held, and 40 of the budget are left: the rest is not paid, though the user has more.
        for _ in 0..2 {
            let settled = house.settle(run_of(&second), 500).await.unwrap();
            assert_eq!(settled.charged_microdollars, 80);
            assert_eq!(house.spent(&ann, &key).await, (100, 100));
        }
        assert_eq!(house.money(&ann).await, (840, 0));
        let beyond = house.reserve(through(&key, &ann, 0, 1)).await;
        assert_eq!(refusal(beyond), Reason::BudgetExceeded);
        let free = house.reserve(through(&key, &ann, 0, 0)).await;
        assert_eq!(free.unwrap(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_of_an_ended_key_costs_is_booked_all_the_same() {
    for house in both().await {
        let ann = house.user("ann", 100).await;
        let (key, _) = house.key(&ann, None).await;
        let run = through(&key, &ann, 0, 50);
        house.reserve(run.clone()).await.unwrap();
        house.revoke(&ann, &key.id).await.unwrap();
        assert_eq!(house.reserve(run.clone()).await.unwrap(), 50);
        let later = house.reserve(through(&key, &ann, 0, 1)).await;
        assert_eq!(refusal(later), Reason::ApiKeyNotFound);
        house.settle(run_of(&run), 30).await.unwrap();
        assert_eq!(house.spent(&ann, &key).await, (30, 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_spends_the_money_of_its_user_only() {
    for house in both().await {
        let (ann, bob) = (house.user("ann", 9).await, house.user("bob", 9).await);
        let (key, _) = house.key(&ann, Some(1_000)).await;
        let foreign = house.reserve(through(&key, &bob, 0, 1)).await;
        assert_eq!(refusal(foreign), Reason::ApiKeyNotFound);
        let malformed = ReserveRequest {
            api_key_id: "key".to_owned(),
            ..through(&key, &ann, 0, 1)
        };
        let malformed = house.reserve(malformed).await;
        assert_eq!(refusal(malformed), Reason::ApiKeyNotFound);
        let beyond = house.reserve(through(&key, &ann, 10, 10)).await;
        assert_eq!(refusal(beyond), Reason::BalanceInsufficient);
        assert_eq!(house.reserve(through(&key, &ann, 0, 10)).await.unwrap(), 9);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_runs_of_one_key_at_once_keep_to_its_budget() {
    for house in both().await {
        let ann = house.user("ann", 1_000_000).await;
        let (key, _) = house.key(&ann, Some(100)).await;
        let mut reserving = JoinSet::new();
        for _ in 0..50 {
            let request = through(&key, &ann, 10, 10);
            let run = run_of(&request);
            let sessions = house.sessions.clone();
            reserving.spawn(async move { reserve(sessions, request).await.map(|_| run) });
        }
        let mut admitted = Vec::new();
        while let Some(reply) = reserving.join_next().await {
            match reply.unwrap() {
                Ok(run) => admitted.push(run),
                reply => assert_eq!(refusal(reply), Reason::BudgetExceeded),
            }
        }
        assert_eq!(admitted.len(), 10);
        assert_eq!(house.money(&ann).await, (1_000_000, 100));

        let mut settling = JoinSet::new();
        for run in admitted {
            // Some cost more than was held, and everything is settled twice.
            for cost in [7, 13] {
                settling.spawn(settle(house.sessions.clone(), run, cost));
            }
        }
        while let Some(settled) = settling.join_next().await {
            settled.unwrap().unwrap();
        }
        let (said, booked) = house.spent(&ann, &key).await;
        assert_eq!(said, booked);
        assert!((70..=100).contains(&said), "{said}");
        assert_eq!(house.money(&ann).await, (1_000_000 - said, 0));
    }
}
