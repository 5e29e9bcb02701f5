//! Chats of whoever had plenty left a moment ago: they are answered while the money is being set aside.

use confab_rpc::completions::{ChatEvent, chat_event};
use confab_rpc::sessions::{GrantModelsRequest, ReserveRequest, SettleRequest, User};
use confab_rpc::{Fault, Reason};
use tokio::time::timeout;
use tonic::Streaming;
use uuid::Uuid;

use crate::chat::{
    DOLLAR, DONE, SEVEN_FIVE, STOP, TEXT, USAGE, begin, chat, check, request, streaming,
};
use crate::raw::{RawServer, Says, Then, says};
use crate::wire::{When, Wire};
use crate::world::{House, LLAMA, PATIENCE, Process};

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

/// Reads until the text was heard.
async fn hear(stream: &mut Streaming<ChatEvent>, text: &str) {
    let heard = async {
        loop {
            let event = stream.message().await.unwrap().unwrap().event;
            let Some(chat_event::Event::Data(data)) = event else {
                continue;
            };
            let events = data.events.iter();
            if events
                .map(|it| String::from_utf8_lossy(it))
                .any(|it| it.contains(text))
            {
                return;
            }
        }
    };
    timeout(PATIENCE, heard).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_heard_before_the_money_is_there_and_ends_afterwards() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start_on(held()).await;
        let ann = house.user(DOLLAR, &[LLAMA]).await;
        first(&server, &process, &ann).await;
        server.then(says([TEXT, STOP, USAGE, DONE].concat()));
        let asked = request(&ann, &streaming("x"));
        let mut chatting = begin(&process, asked).await.unwrap();
        hear(&mut chatting, "Grüße").await;
        process.wire.held().await;
        assert_eq!(house.account(&ann).await.reserved_microdollars, 0);
        process.wire.open();
        let end = loop {
            let event = chatting.message().await.unwrap().unwrap().event;
            if let Some(chat_event::Event::End(end)) = event {
                break end;
            }
        };
        assert_eq!(end.cost_microdollars, SEVEN_FIVE);
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
async fn a_refused_reservation_cuts_the_answer_which_is_free() {
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
        let mut chatting = begin(&process, asked.clone()).await.unwrap();
        process.wire.held().await;
        process.wire.open();
        let fault = loop {
            if let Err(status) = chatting.message().await {
                break Fault::from(status);
            }
        };
        assert_eq!(fault.reason, Reason::ModelNotGranted);
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
async fn with_less_money_than_was_known_the_answer_is_paid_for_as_far_as_it_goes() {
    let server = RawServer::with([]).await;
    for house in House::both_with(&server.settings()).await {
        let process = house.start_on(held()).await;
        let ann = house.user(20_000, &[LLAMA]).await;
        first(&server, &process, &ann).await;
        server.then(says([TEXT, STOP, USAGE, DONE].concat()));
        let asked = request(&ann, &streaming("x"));
        let mut chatting = begin(&process, asked).await.unwrap();
        hear(&mut chatting, "Grüße").await;
        process.wire.held().await;
        // Something else of the user's takes all but 200 micro-dollars.
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
        while chatting.message().await.unwrap().is_some() {}
        let given_back = SettleRequest {
            run_id: other,
            cost_microdollars: 0,
        };
        sessions.settle(given_back).await.unwrap();
        check(&house, process, &ann, &[SEVEN_FIVE, SEVEN_FIVE]).await;
    }
}
