//! API keys: what they are good for here, and what they may spend.

use confab_rpc::sessions::CreateApiKeyRequest;
use confab_testkit::conversations::{Client, shown};
use confab_testkit::{Shape, System};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const DOLLAR: i64 = 1_000_000;

/// The page of somebody who has a key.
async fn with_key(system: &System, user: Uuid, scopes: &[&str], budget: Option<i64>) -> Client {
    let request = CreateApiKeyRequest {
        user_id: user.to_string(),
        name: "test".to_owned(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        budget_microdollars: budget,
        ..CreateApiKeyRequest::default()
    };
    let made = system.sessions().create_api_key(request).await.unwrap();
    Client::with_token(system.address(), &made.into_inner().secret)
}

async fn start(shape: Shape) -> (System, Uuid) {
    let system = System::start_with(shape, &[("gateway.auth.mode", "token")]).await;
    let user = system.add_user("ann", &[4], DOLLAR).await;
    (system, user)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_this_room_if_it_is_made_for_it() {
    for shape in Shape::ENDS {
        let (system, user) = start(shape).await;
        let page = with_key(&system, user, &["conversations"], None).await;
        let number = page.enter("ann").await;
        let conversation = page.conversation(number).await;
        page.say(conversation, "hello").await;
        assert!(shown(&page.stream(conversation).await.chunks).1);
        assert_eq!(page.complete(conversation).await.0, 200);

        let refused = with_key(&system, user, &["models", "chat", "embeddings"], None).await;
        let own = format!("/conversations/{conversation}");
        let words = json!({ "role": "user", "content": "x" });
        for (method, path, body) in [
            (Method::GET, "/users".to_owned(), None),
            (Method::GET, own.clone(), None),
            (Method::DELETE, own.clone(), None),
            (Method::POST, format!("{own}/messages"), Some(words)),
            (
                Method::POST,
                format!("{own}/messages:complete"),
                Some(json!({ "stream": true })),
            ),
        ] {
            let (status, told) = refused.call(method.clone(), &path, body.as_ref()).await;
            assert_eq!(status, 403, "{method} {path}: {told}");
            assert_eq!(told["error"]["type"], "ForbiddenError", "{method} {path}");
        }
        assert_eq!(page.history(conversation).await.len(), 3);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_budget_is_used_up_gets_no_answer_and_another_one_does() {
    for shape in Shape::ENDS {
        let (system, user) = start(shape).await;
        let page = with_key(&system, user, &[], Some(2000)).await;
        let conversation = page.conversation(page.enter("ann").await).await;
        page.say(conversation, "hello").await;
        let mut answers = 0;
        let refused = loop {
            let (status, told) = page.complete(conversation).await;
            if status != 200 {
                assert_eq!(status, 402, "{told}");
                break told;
            }
            answers += 1;
        };
        assert!(answers > 0);
        assert_eq!(refused["error"]["type"], "PaymentRequiredError");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("budget"), "{message}");
        assert_eq!(page.open(conversation, None).await.status(), 402);
        // What costs nothing can still be done, and the money is there for who may spend it.
        assert_eq!(page.history(conversation).await.len(), 1 + answers);
        let account = system.account(user).await;
        assert!(account.balance_microdollars >= DOLLAR - 2000);
        assert_eq!(account.reserved_microdollars, 0);
        let other = with_key(&system, user, &[], None).await;
        assert_eq!(other.complete(conversation).await.0, 200);
        system.stop().await;
    }
}
