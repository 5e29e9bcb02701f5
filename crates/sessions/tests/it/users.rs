//! Users and the models they may ask.

use confab_rpc::Reason;
use confab_rpc::sessions::get_user_request::By;
use confab_rpc::sessions::{
    CreateUserRequest, GetUserRequest, GrantModelsRequest, ListUsersRequest, User,
};
use tokio::task::JoinSet;
use tonic::Status;
use uuid::Uuid;

use crate::house::{Client, House, both, refusal, start};

async fn get(house: &House, by: By) -> Result<User, Status> {
    let request = GetUserRequest { by: Some(by) };
    Ok(house.sessions.clone().get_user(request).await?.into_inner())
}

async fn create(house: &House, request: CreateUserRequest) -> Result<User, Status> {
    Ok(house
        .sessions
        .clone()
        .create_user(request)
        .await?
        .into_inner())
}

fn named(name: &str) -> CreateUserRequest {
    CreateUserRequest {
        username: name.to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_each_of_their_names() {
    for house in both().await {
        let id = Uuid::new_v4();
        let request = CreateUserRequest {
            username: " Zoë ".to_owned(),
            id: id.to_string().to_uppercase(),
            models: vec![8, 4, 8],
            deposit_microdollars: 1_500_000,
        };
        let user = create(&house, request).await.unwrap();
        assert_eq!(user.id, id.to_string());
        assert_eq!(user.username, "Zoë");
        assert_eq!(user.models, [4, 8]);
        assert_eq!(user.created_at.unwrap().seconds, start().timestamp());
        let by = [
            By::Id(user.id.clone()),
            By::Number(user.number),
            By::Username("Zoë".to_owned()),
        ];
        for by in by {
            assert_eq!(get(&house, by).await.unwrap(), user);
        }
        assert_eq!(house.account(&user).await.balance_microdollars, 1_500_000);
        let ledger = house.ledger(&user).await;
        assert_eq!(ledger.len(), 1);
        assert_eq!(ledger[0].amount_microdollars, 1_500_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_money_has_an_empty_ledger() {
    for house in both().await {
        let user = create(&house, named("poor")).await.unwrap();
        assert_eq!(Uuid::parse_str(&user.id).unwrap().get_version_num(), 7);
        assert_eq!(house.account(&user).await.balance_microdollars, 0);
        assert!(house.ledger(&user).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_user_is_refused() {
    for house in both().await {
        let bad = [
            named(""),
            named("nul\0"),
            named(&"x".repeat(256)),
            CreateUserRequest {
                id: "1".to_owned(),
                ..named("a")
            },
            CreateUserRequest {
                deposit_microdollars: -1,
                ..named("a")
            },
            CreateUserRequest {
                models: (0..1001).collect(),
                ..named("a")
            },
        ];
        for request in bad {
            assert_eq!(refusal(create(&house, request).await), Reason::Invalid);
        }
        assert_eq!(list(&house, 0, 0).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_an_id_are_given_once() {
    for house in both().await {
        let user = house.user("ann", 5).await;
        assert_eq!(
            refusal(create(&house, named("ann")).await),
            Reason::UsernameTaken
        );
        let same_id = CreateUserRequest {
            id: user.id.clone(),
            ..named("bob")
        };
        assert_eq!(refusal(create(&house, same_id).await), Reason::UserIdTaken);
        assert_eq!(list(&house, 0, 0).await, [user]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    for house in both().await {
        let mut wanting = JoinSet::new();
        for _ in 0..10 {
            let mut sessions = house.sessions.clone();
            wanting.spawn(async move { sessions.create_user(named("ann")).await });
        }
        let mut made = 0;
        while let Some(reply) = wanting.join_next().await {
            match reply.unwrap() {
                Ok(_) => made += 1,
                refused => assert_eq!(refusal(refused), Reason::UsernameTaken),
            }
        }
        assert_eq!(made, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_name_is_as_unknown_as_an_unknown_one() {
    for house in both().await {
        let strange = [
            By::Id(Uuid::new_v4().to_string()),
            By::Id("1; DROP TABLE user_account".to_owned()),
            By::Id(String::new()),
            By::Number(-1),
            By::Number(i64::MAX),
            By::Username("nobody".to_owned()),
            By::Username("nul\0".to_owned()),
            By::Username(String::new()),
        ];
        for by in strange {
            assert_eq!(refusal(get(&house, by).await), Reason::UserNotFound);
        }
        let by_nothing = house
            .sessions
            .clone()
            .get_user(GetUserRequest { by: None })
            .await;
        assert_eq!(refusal(by_nothing), Reason::Invalid);
    }
}

async fn list(house: &House, after_number: i64, limit: u32) -> Vec<User> {
    let request = ListUsersRequest {
        after_number,
        limit,
    };
    let users = house.sessions.clone().list_users(request).await;
    users.unwrap().into_inner().users
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_in_pages() {
    for house in both().await {
        let mut users = Vec::new();
        for name in ["ann", "bob", "cleo"] {
            users.push(house.user(name, 0).await);
        }
        assert_eq!(list(&house, 0, 0).await, users);
        assert_eq!(list(&house, 0, 2).await, users[..2]);
        assert_eq!(list(&house, users[1].number, 2).await, users[2..]);
        assert_eq!(list(&house, users[2].number, u32::MAX).await, []);
    }
}

async fn grant(mut sessions: Client, user_id: String, models: Vec<i32>) -> Result<User, Status> {
    let request = GrantModelsRequest { user_id, models };
    Ok(sessions.grant_models(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_replaces_the_one_before() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let sessions = &house.sessions;
        for models in [vec![1, 2, 3], vec![2, 9], vec![]] {
            let granted = grant(sessions.clone(), user.id.clone(), models.clone())
                .await
                .unwrap();
            assert_eq!(granted.models, models);
            let found = get(&house, By::Id(user.id.clone())).await.unwrap();
            assert_eq!(found.models, models);
        }
        let stranger = grant(sessions.clone(), Uuid::new_v4().to_string(), vec![1]).await;
        assert_eq!(refusal(stranger), Reason::UserNotFound);
        let too_many = grant(sessions.clone(), user.id.clone(), (0..1001).collect()).await;
        assert_eq!(refusal(too_many), Reason::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_grants_at_the_same_time_one_stands_whole() {
    for house in both().await {
        let user = house.user("ann", 0).await;
        let mut granting = JoinSet::new();
        for first in 0..10 {
            let models = (first * 3..first * 3 + 6).collect();
            granting.spawn(grant(house.sessions.clone(), user.id.clone(), models));
        }
        while let Some(granted) = granting.join_next().await {
            granted.unwrap().unwrap();
        }
        let models = get(&house, By::Id(user.id)).await.unwrap().models;
        assert_eq!(models.len(), 6, "{models:?}");
        assert_eq!(models[5] - models[0], 5, "{models:?}");
    }
}
