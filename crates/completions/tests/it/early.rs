//! Chats of whoever had plenty left a moment ago: the provider is asked while the money is being set aside.

use confab_rpc::Reason;
use confab_rpc::sessions::{GrantModelsRequest, ReserveRequest, SettleRequest, User};
use serde_json::json;
use uuid::Uuid;

use crate::chat::{DOLLAR, DONE, SEVEN_FIVE, STOP, TEXT, USAGE, chat, check, request, streaming};
use crate::raw::{RawServer, Says, Then, says};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA, Process};

/// The second time that money is to be set aside, sessions is not reached yet.
fn held() -> Wire {
    Wire::holding("Reserve", 2, When::Before)
}

/// A whole chat, by which it is known what the user has left.
async fn first(server: &RawServer, process: &Process, user: &User) {
    server.then(says([TEXT, STOP, USAGE, DONE].concat()));
    let chatted = chat(process, request(user, &streaming("x"))).await;
    assert_eq!(chatted.end.unwrap().cost_microdollars, SEVEN_FIVE);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_asked_before_the_money_is_there_and_heard_afterwards() {
    let server = RawServer::with([]).await;
    for (round, house) in (0..).zip(House::both_with(&server.settings()).await) {
        let process = house.start_on(held()).await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        first(&server, &process, &ann).await;
        server.then(says([TEXT, STOP, USAGE, DONE].concat()));
        let body = streaming("x");
        let mut chatting = Box::pin(chat(&process, request(&ann, &body)));
        tokio::select! {
            biased;
            _ = &mut chatting => panic!("it was answered before the money was there"),
            () = async {
                process.wire.held().await;
                server.was_asked(2 * round + 2).await;
                server.was_left(2 * round + 2).await;
            } => {}
        }
        assert_eq!(house.account(&ann).await.reserved_microdollars, 0);
        process.wire.open();
        let chatted = chatting.await;
        assert_eq!(chatted.text(), "Grüße");
        assert_eq!(chatted.end.unwrap().cost_microdollars, SEVEN_FIVE);
        assert_eq!(server.asked().1["max_tokens"], json!(1024));
        for (method, times) in [
            ("Reserve", 2),
            ("Settle", 2),
            ("GetUser", 0),
            ("GetAccount", 0),
        ] {
            assert_eq!(process.wire.calls(method), times, "{method}");
        }
        check(&house, process, &ann, &[SEVEN_FIVE, SEVEN_FIVE]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reservation_ends_the_call_and_nothing_is_handed_on() {
    let server = RawServer::with([]).await;
    for (round, house) in (0..).zip(House::both_with(&server.settings()).await) {
        let process = house.start_on(held()).await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        first(&server, &process, &ann).await;
        let granted = GrantModelsRequest {
            user_id: ann.id.clone(),
            models: Vec::new(),
        };
        let mut sessions = house.observer.sessions.clone();
        sessions.grant_models(granted).await.unwrap();
        server.then(Says {
            then: Then::Hang,
            ..says(TEXT)
        });
        let asked = request(&ann, &streaming("x"));
        let mut chatting = Box::pin(chat(&process, asked.clone()));
        tokio::select! {
            biased;
            _ = &mut chatting => panic!("it was answered before the money was refused"),
            () = async {
                process.wire.held().await;
                server.was_asked(2 * round + 2).await;
            } => {}
        }
        process.wire.open();
        let chatted = chatting.await;
        assert!(chatted.head.is_none() && chatted.events.is_empty());
        assert_eq!(chatted.fault().reason, Reason::ModelNotGranted);
        server.was_left(2 * round + 2).await;

        // What was known is known no more: the next one is refused before the provider hears of it.
        let again = chat(&process, asked).await;
        assert_eq!(again.fault().reason, Reason::ModelNotGranted);
        assert_eq!(server.times_asked(), 2 * round + 2);
        check(&house, process, &ann, &[SEVEN_FIVE]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_have_too_little_waits_for_the_money() {
    let server = RawServer::with([]).await;
    for (round, house) in (0..).zip(House::both_with(&server.settings()).await) {
        let process = house.start_on(held()).await;
        // A chat can cost 2,160 micro-dollars: that is enough for six.
        let ann = house.user(13_000, &[LLAMA]).await;
        first(&server, &process, &ann).await;
        server.then(says([TEXT, STOP, USAGE, DONE].concat()));
        let body = streaming("x");
        let mut chatting = Box::pin(chat(&process, request(&ann, &body)));
        tokio::select! {
            biased;
            _ = &mut chatting => panic!("it was answered without money"),
            () = process.wire.held() => {}
        }
        assert_eq!(server.times_asked(), 2 * round + 1);
        process.wire.open();
        assert_eq!(chatting.await.text(), "Grüße");
        check(&house, process, &ann, &[SEVEN_FIVE, SEVEN_FIVE]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_less_money_than_was_known_the_provider_is_asked_again_for_less() {
    let server = RawServer::with([]).await;
    for (round, house) in (0..).zip(House::both_with(&server.settings()).await) {
        let process = house.start_on(held()).await;
        let ann = house.user(20_000, &[LLAMA]).await;
        first(&server, &process, &ann).await;
        server.then(Says {
            then: Then::Hang,
            ..says(TEXT)
        });
        server.then(says([STOP, USAGE, DONE].concat()));
        let body = streaming("x");
        let mut chatting = Box::pin(chat(&process, request(&ann, &body)));
        tokio::select! {
            biased;
            _ = &mut chatting => panic!("it was answered before the money was there"),
            () = async {
                process.wire.held().await;
                server.was_asked(3 * round + 2).await;
            } => {}
        }
        // Something else of the user's takes all but 200 micro-dollars, which pay for 45 tokens.
        let other = Uuid::now_v7().to_string();
        let all_but_200 = ReserveRequest {
            user_id: ann.id.clone(),
            run_id: other.clone(),
            model_id: LLAMA,
            maximum_microdollars: 20_000 - SEVEN_FIVE - 200,
            ..Default::default()
        };
        let mut sessions = house.observer.sessions.clone();
        sessions.reserve(all_but_200).await.unwrap();
        process.wire.open();
        let chatted = chatting.await;
        assert_eq!(chatted.text(), "", "nothing of the first call is heard");
        assert_eq!(server.asked().1["max_tokens"], json!(45));
        assert_eq!(server.times_asked(), 3 * round + 3);
        server.was_left(3 * round + 3).await;
        let given_back = SettleRequest {
            run_id: other,
            cost_microdollars: 0,
        };
        sessions.settle(given_back).await.unwrap();
        check(&house, process, &ann, &[SEVEN_FIVE, SEVEN_FIVE]).await;
    }
}
