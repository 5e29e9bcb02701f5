//! Answers that outlive their readers.

use confab_testkit::conversations::{Client, Event, read_stream, shown};
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{Part, Shape, System, eventually, in_time};
use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::json;

use super::{SLOW, gateway, id_of, system_with};

/// The text of a run's events, each of which begins where the one before ended.
fn text_of(events: &[Event], from: i64) -> String {
    let mut text = String::new();
    for event in events.iter().filter(|event| event.name == "delta") {
        text.push_str(event.data["text"].as_str().unwrap());
        assert_eq!(from + i64::try_from(text.len()).unwrap(), event.id);
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_cut_off_loses_nothing() {
    for shape in Shape::ALL {
        let system = System::start_with(shape, &[SLOW]).await;
        let page = Client::new(system.address());
        let conversation = page.conversation(page.enter("ann").await).await;
        page.say(conversation, "go on without me").await;
        let response = page.open(conversation, None).await;
        let run = response.headers()["x-run-id"].to_str().unwrap().to_owned();
        let mut body = response.bytes_stream();
        let mut read = Vec::new();
        for _ in 0..2 {
            let chunk = body.next().await.unwrap().unwrap();
            read.push(String::from_utf8(chunk.to_vec()).unwrap());
        }
        drop(body);
        let (beginning, whole) = shown(&read);
        assert!(!whole);

        // It comes back at another gateway, with what it has.
        let offset = i64::try_from(beginning.len()).unwrap();
        let elsewhere = Client::new(gateway(&system, 1));
        let events = elsewhere.follow(conversation, &run, offset).await;
        let last = events.last().unwrap();
        assert_eq!(last.name, "done", "{events:?}");
        assert_eq!(last.data["state"], "complete");
        let text = beginning + &text_of(&events, offset);
        let history = page.history(conversation).await;
        assert_eq!(history.len(), 2);
        assert_eq!(history[1].1, text);
        // Once it is over it can be read again, from any place.
        let again = elsewhere.follow(conversation, &run, 0).await;
        assert_eq!(text_of(&again, 0), text);
        let (status, told) = page
            .get(&format!("/conversations/{conversation}/runs/{run}"))
            .await;
        assert_eq!((status, &told), (200, &again.last().unwrap().data));
        let beyond = format!("/conversations/{conversation}/runs/{run}/stream?offset=99999");
        assert_eq!(page.get(&beyond).await.0, 400);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_from_anywhere_and_paid_for_as_far_as_it_got() {
    for shape in Shape::ALL {
        let system = System::start_with(shape, &[SLOW]).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        let conversation = page.conversation(user).await;
        page.say(conversation, &"many words to repeat ".repeat(20))
            .await;
        let response = page.open(conversation, None).await;
        let run = response.headers()["x-run-id"].to_str().unwrap().to_owned();
        let mut body = response.bytes_stream();
        body.next().await.unwrap().unwrap();
        let path = format!("/conversations/{conversation}/runs/{run}");
        let elsewhere = Client::new(gateway(&system, 1));
        let (status, told) = elsewhere.post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!(
            (status, &told["state"]),
            (200, &json!("cancelled")),
            "{told}"
        );
        let mut last = String::new();
        while let Some(chunk) = body.next().await {
            last = String::from_utf8(chunk.unwrap().to_vec()).unwrap();
        }
        assert!(last.contains("CancelledError"), "{last}");
        // Stopping it once more changes nothing.
        let again = elsewhere.post(&format!("{path}/cancel"), &json!({})).await;
        assert_eq!(again.1["state"], "cancelled");
        let history = page.history(conversation).await;
        assert!(!history[1].1.is_empty(), "the text so far is kept");
        let uuid = id_of(&system, user).await;
        eventually("it is settled", async || {
            (system.account(uuid).await.reserved_microdollars == 0).then_some(())
        })
        .await;
        assert!(system.account(uuid).await.balance_microdollars < 1_000_000);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_message_and_the_same_answer() {
    for shape in Shape::ALL {
        let system = System::start_with(shape, &[SLOW]).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        let conversation = page.conversation(user).await;
        let path = format!("/conversations/{conversation}/messages");
        let question = json!({ "role": "user", "content": "once" });
        let mut ids = Vec::new();
        for _ in 0..2 {
            let stored = page.post_once(&path, "question", &question).await;
            assert_eq!(stored.status(), StatusCode::CREATED);
            ids.push(stored.json::<serde_json::Value>().await.unwrap()["id"].clone());
        }
        assert_eq!(ids[0], ids[1]);
        let other = json!({ "role": "user", "content": "another" });
        let refused = page.post_once(&path, "question", &other).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);

        // While it is being written, and at the other gateway.
        let first = page.open(conversation, Some("answer")).await;
        let elsewhere = Client::new(gateway(&system, 1));
        let second = elsewhere.open(conversation, Some("answer")).await;
        let (first, second) =
            futures_util::future::join(read_stream(first), read_stream(second)).await;
        assert_eq!((first.replayed, second.replayed), (false, true));
        assert_eq!(first.run, second.run);
        assert_eq!(shown(&first.chunks), shown(&second.chunks));
        assert!(shown(&first.chunks).1);
        assert_eq!(page.history(conversation).await.len(), 2);
        let uuid = id_of(&system, user).await;
        assert_eq!(
            system.ledger(uuid).await.len(),
            2,
            "a deposit and one charge"
        );
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_a_failure_is_told_of_which_run_whenever_it_asks() {
    for shape in Shape::ENDS {
        let provider = OpenAi::start([Reply::Status(400)]).await;
        let system = system_with(shape, &provider).await;
        let page = Client::new(system.address());
        let conversation = page.conversation(page.enter("ann").await).await;
        page.say(conversation, "hello").await;
        let path = format!("/conversations/{conversation}/messages:complete");
        let ask = async |stream: bool| {
            let body = json!({ "stream": stream });
            let answer = page.post_once(&path, "answer", &body).await;
            let run = answer.headers()["x-run-id"].to_str().unwrap().to_owned();
            let replayed = answer.headers().contains_key("Idempotent-Replayed");
            (answer.status(), run, replayed)
        };
        let (status, run, replayed) = ask(false).await;
        assert_eq!((status, replayed), (StatusCode::BAD_GATEWAY, false));
        assert_eq!(ask(false).await, (status, run.clone(), true));
        // Whoever looks within 300 ms has a status.
        eventually("a stream is refused", async || {
            let (told, again, replayed) = ask(true).await;
            assert_eq!((&again, replayed), (&run, true));
            (told == status).then_some(())
        })
        .await;
        let run = format!("/conversations/{conversation}/runs/{run}");
        assert_eq!(page.get(&run).await.1["state"], "failed");
        assert_eq!(provider.requests().len(), 1, "the model was asked once");
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_when_the_process_that_answers_is_replaced() {
    let settings = [
        SLOW,
        ("completions.lease_seconds", "3"),
        ("shutdown.grace_seconds", "1"),
    ];
    let mut system = System::start_with(Shape::Split, &settings).await;
    let page = Client::new(system.address());
    let conversation = page.conversation(page.enter("ann").await).await;
    page.say(conversation, &"words that are written slowly ".repeat(8))
        .await;
    let response = page.open(conversation, None).await;
    let reading = read_stream(response);
    let replacing = async {
        system.stop_part(Part::Completions).await;
        system.start_part(Part::Completions).await;
    };
    let (streamed, ()) =
        in_time("it goes on", futures_util::future::join(reading, replacing)).await;
    let (text, whole) = shown(&streamed.chunks);
    assert!(whole, "{:?}", streamed.chunks.last());
    let history = page.history(conversation).await;
    assert_eq!(history[1..], [("assistant".to_owned(), text)]);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_found_in_their_own_conversation_only() {
    let system = System::start(Shape::Sqlite).await;
    let page = Client::new(system.address());
    let conversation = page.conversation(page.enter("ann").await).await;
    page.say(conversation, "hello").await;
    let run = page.stream(conversation).await.run;
    let other = page.conversation(page.enter("bob").await).await;
    let nobody = uuid::Uuid::now_v7();
    for (path, status) in [
        (format!("/conversations/{conversation}/runs/{run}"), 200),
        (format!("/conversations/{other}/runs/{run}"), 404),
        (format!("/conversations/{conversation}/runs/{nobody}"), 404),
        (format!("/conversations/{conversation}/runs/7"), 400),
        (format!("/conversations/x/runs/{run}"), 400),
        (
            format!("/conversations/{conversation}/runs/{run}/stream?offset=x"),
            400,
        ),
        (format!("/conversations/{other}/runs/{run}/stream"), 404),
    ] {
        assert_eq!(page.get(&path).await.0, status, "{path}");
    }
    system.stop().await;
}
