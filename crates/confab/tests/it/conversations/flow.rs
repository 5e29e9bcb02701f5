//! What the page does, from its first request to its last answer.

use std::time::Duration;

use confab_testkit::conversations::{Client, read_stream, shown};
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{Shape, System, assistant, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{gateway, id_of, system_with};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_from_its_first_request_to_its_last_answer() {
    for shape in Shape::ALL {
        let system = System::start(shape).await;
        let page = Client::new(system.address());
        let greeting = page.get("/").await;
        assert_eq!(greeting, (200, json!("Serveur à l'écoute")));

        let user = page.enter("Rémi").await;
        let conversation = page.conversation(user).await;
        assert_eq!(page.history(conversation).await, []);
        page.say(conversation, "Raconte une histoire").await;
        let (answer, whole) = shown(&page.stream(conversation).await.chunks);
        assert!(whole && answer.contains("scripted model"), "{answer}");
        page.say(conversation, "Et après ?").await;
        let (status, completed) = page.complete(conversation).await;
        assert_eq!(status, 200, "{completed}");
        let choice = &completed["choices"][0];
        assert_eq!(choice["finish_reason"], "stop");
        let second = choice["message"]["content"].as_str().unwrap();

        // The page is loaded again, at another gateway.
        let reloaded = Client::new(gateway(&system, 1));
        assert_eq!(reloaded.enter("Rémi").await, user);
        assert_eq!(reloaded.conversation(user).await, conversation);
        let said = |role: &str, content: &str| (role.to_owned(), content.to_owned());
        let history = [
            said("user", "Raconte une histoire"),
            said("assistant", &answer),
            said("user", "Et après ?"),
            said("assistant", second),
        ];
        assert_eq!(reloaded.history(conversation).await, history);
        let id = completed["id"].as_str().unwrap();
        let (status, message) = reloaded.get(&format!("/messages/{id}")).await;
        assert_eq!((status, message["content"].as_str()), (200, Some(second)));

        // Another front end shows the same as one of its sessions.
        let uuid = id_of(&system, user).await;
        let mut other = assistant::Client::connect(gateway(&system, 1)).await;
        let sessions = other.call(1, json!({ "user_id": uuid })).await;
        let session = &sessions["data"]["session_info"][0];
        assert_eq!(session["session_name"], "Nouvelle conversation");
        let session = session["session_id"].as_str().unwrap();
        assert_eq!(other.history(uuid, session).await, history);
        assert_eq!(system.account(uuid).await.reserved_microdollars, 0);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_listed_changed_and_removed() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        for path in ["/users/ann".to_owned(), format!("/users/{user}")] {
            let (status, found) = page.get(&path).await;
            assert_eq!((status, &found["id"]), (200, &json!(user)), "{path}");
        }
        let conversation = page.conversation(user).await;
        let other = page.enter("bob").await;
        let foreign = page.conversation(other).await;

        let path = format!("/conversations/{conversation}");
        let change = json!({ "title": "Sea", "colour": "blue" });
        let (status, changed) = page.call(Method::PATCH, &path, Some(&change)).await;
        assert_eq!(status, 200, "{changed}");
        assert_eq!(page.get(&path).await, (200, changed.clone()));
        assert_eq!(
            (&changed["title"], &changed["id"]),
            (&json!("Sea"), &json!(conversation))
        );
        let listed = page.get(&format!("/users/{user}/conversations")).await;
        assert_eq!(listed, (200, json!([changed])));
        let (_, all) = page.get("/conversations").await;
        assert_eq!(numbers(&all), sorted([conversation, foreign]));

        let first = page.say(conversation, "one").await;
        let new = json!({ "role": "system", "content": "two", "conversation_id": conversation });
        let (status, second) = page.post("/messages", &new).await;
        assert_eq!((status, &second["role"]), (201, &json!("system")));
        let third = page.say(foreign, "three").await;
        let (_, all) = page.get("/messages").await;
        assert_eq!(
            numbers(&all),
            sorted([first, second["id"].as_i64().unwrap(), third])
        );
        let message = format!("/messages/{first}");
        let (status, body) = page.call(Method::DELETE, &message, None).await;
        assert_eq!((status, body), (204, Value::Null));
        assert_eq!(page.get(&message).await.0, 404);
        let left = page.history(conversation).await;
        assert_eq!(left, [("system".to_owned(), "two".to_owned())]);

        assert_eq!(page.call(Method::DELETE, &path, None).await.0, 204);
        assert_eq!(page.get(&path).await.0, 404);
        assert_eq!(page.get(&format!("{path}/messages")).await.0, 404);
        assert_eq!(page.call(Method::DELETE, &path, None).await.0, 404);
        system.stop().await;
    }
}

fn numbers(list: &Value) -> Vec<i64> {
    let items = list.as_array().unwrap();
    sorted(items.iter().map(|item| item["id"].as_i64().unwrap()))
}

fn sorted(numbers: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut numbers: Vec<i64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_page_brings_its_question_along() {
    for shape in Shape::ALL {
        let provider = OpenAi::start([]).await;
        let system = system_with(shape, &provider).await;
        let page = Client::new(system.address());
        let conversation = page.conversation(page.enter("ann").await).await;
        let path = format!("/conversations/{conversation}/messages:complete");
        let body = json!({ "stream": false, "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Who is there?" },
        ]});
        for round in 0..2 {
            let reply = page.post_once(&path, "first", &body).await;
            let replayed = reply.headers().contains_key("Idempotent-Replayed");
            assert_eq!((reply.status(), replayed), (StatusCode::OK, round == 1));
        }
        let history = page.history(conversation).await;
        let roles: Vec<&str> = history.iter().map(|(role, _)| role.as_str()).collect();
        assert_eq!(roles, ["system", "user", "assistant"]);
        let asked = provider.requests();
        assert_eq!(asked.len(), 1, "asked once");
        let messages = asked[0]["messages"].as_array().unwrap();
        let texts: Vec<&str> = messages
            .iter()
            .map(|it| it["content"].as_str().unwrap())
            .collect();
        assert_eq!(texts, ["Be brief.", "Who is there?"]);
        system.stop().await;
    }
}

/// The page takes each chunk of the network for one event, however fast the model is.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_a_chunk_of_its_own() {
    let words: Vec<&'static str> = vec!["word "; 5000];
    for shape in Shape::ENDS {
        let provider = OpenAi::start([Reply::Text(words.clone(), 10, 5000)]).await;
        let system = system_with(shape, &provider).await;
        let page = Client::new(system.address());
        let conversation = page.conversation(page.enter("ann").await).await;
        page.say(conversation, "Say many words").await;
        let (head, chunks) = page.raw_stream(conversation).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let head = head.to_ascii_lowercase();
        for line in [
            "content-type: text/event-stream\r\n",
            "traceparent: \r\n",
            "x-run-id: ",
            "x-user-id: ",
        ] {
            assert!(format!("{head}\r\n").contains(line), "{head}");
        }
        assert!(!head.contains("content-encoding"), "{head}");
        assert_eq!(chunks.last().unwrap(), "data: [DONE]\n\n");
        assert_eq!(shown(&chunks), ("word ".repeat(5000), true));
        system.stop().await;
    }
}

/// The page looks for one event in what a read brings, and a model that never pauses fills every pause between two events.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_a_read_of_its_own_while_the_model_never_pauses() {
    const WORDS: usize = 2500;
    /// A little less than there is between two events.
    const PAUSE: Duration = Duration::from_millis(4);
    for shape in Shape::ENDS {
        let words = vec!["word "; WORDS];
        let provider = OpenAi::start([Reply::Steady(words, 10, 2500)]).await;
        let system = system_with(shape, &provider).await;
        let page = Client::new(system.address());
        let conversation = page.conversation(page.enter("ann").await).await;
        page.say(conversation, "Say many words").await;
        let mut events = Vec::new();
        for read in page.page_reads(conversation).await {
            let several = read.text.split_inclusive("\n\n").map(str::to_owned);
            let before = events.len();
            events.extend(several);
            // Only a reader that was itself held up finds more than one.
            let pauses = u32::try_from(events.len() - before).unwrap() - 1;
            assert!(read.within >= PAUSE * pauses, "{shape:?}: {read:?}");
        }
        assert!(events.len() > 200, "{shape:?}: {} events", events.len());
        let (text, whole) = shown(&events);
        assert!(whole);
        assert_eq!(events.last().unwrap(), "data: [DONE]\n\n");
        assert_eq!(text, "word ".repeat(WORDS));
        assert_eq!(page.history(conversation).await[1].1, text);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_a_status_before_the_first_word_and_an_event_after_it() {
    for shape in Shape::ALL {
        let replies = [Reply::Status(401), Reply::Cut(vec!["Once ", "upon"])];
        let provider = OpenAi::start(replies).await;
        let system = system_with(shape, &provider).await;
        let page = Client::new(system.address());
        let conversation = page.conversation(page.enter("ann").await).await;
        page.say(conversation, "A story").await;
        let refused = page.open(conversation, None).await;
        assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["error"]["type"], "ProviderError");
        assert_eq!(page.history(conversation).await.len(), 1, "no empty answer");

        let cut = page.stream(conversation).await.chunks;
        let (text, whole) = shown(&cut);
        assert_eq!((text.as_str(), whole), ("Once upon", false));
        assert!(cut.last().unwrap().contains("\"type\":\"ProviderError\""));
        let history = page.history(conversation).await;
        assert_eq!(history[1].1, "Once upon", "what was said is kept");
        // The conversation goes on.
        let (text, whole) = shown(&page.stream(conversation).await.chunks);
        assert_eq!((text.as_str(), whole), ("Hello.", true));
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_found() {
    for shape in Shape::ENDS {
        let system = System::start(shape).await;
        let page = Client::new(system.address());
        let user = page.enter("ann").await;
        let conversation = page.conversation(user).await;
        let wanted = page
            .say(conversation, "the lighthouse keeper of the island")
            .await;
        page.say(conversation, "a recipe for onion soup").await;
        let stranger = page.enter("bob").await;
        let foreign = page.conversation(stranger).await;
        page.say(foreign, "another lighthouse keeper of another island")
            .await;

        let path = format!("/users/{user}/search?q=lighthouse+keeper+island&limit=3");
        let (status, hits) = page.get(&path).await;
        assert_eq!(status, 200, "{hits}");
        assert_eq!(hits[0]["message"]["id"], wanted, "{hits}");
        assert_eq!(hits[0]["conversation_id"], conversation);
        for hit in hits.as_array().unwrap() {
            assert_eq!(hit["conversation_id"], conversation, "only one's own");
        }
        let body = json!({ "user_id": user, "query": "lighthouse keeper island", "limit": 3 });
        assert_eq!(page.post("/search", &body).await, (200, hits));
        let elsewhere = format!("/users/{user}/search?q=lighthouse&conversation_id={foreign}");
        assert_eq!(page.get(&elsewhere).await.0, 404);
        assert_eq!(page.get(&format!("/users/{user}/search")).await.0, 400);
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_gateway_loses_nothing() {
    let mut system = System::start_with(Shape::Split, &[super::SLOW]).await;
    let page = Client::new(gateway(&system, 0));
    let conversation = page.conversation(page.enter("ann").await).await;
    page.say(conversation, "this answer takes a while to write")
        .await;
    let streaming = page.open(conversation, Some("first")).await;
    let run = streaming.headers()["x-run-id"].to_str().unwrap().to_owned();
    let part = confab_testkit::Part::Gateway(0);
    system.stop_part(part).await;
    system.start_part(part).await;
    drop(streaming);
    let again = read_stream(page.open(conversation, Some("first")).await).await;
    assert!(again.replayed);
    assert_eq!(again.run, run);
    let (text, whole) = shown(&again.chunks);
    assert!(whole);
    eventually("the answer is stored", async || {
        let history = page.history(conversation).await;
        (history.len() == 2 && history[1].1 == text).then_some(())
    })
    .await;
    system.stop().await;
}
