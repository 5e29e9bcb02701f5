//! The process that answers is killed in the middle of an answer.

use confab_testkit::conversations::{Client, shown};
use confab_testkit::openai::{OpenAi, Reply};
use confab_testkit::{Part, Shape, System, eventually, in_time};
use futures_util::{Stream, StreamExt};
use uuid::Uuid;

use super::{SLOW, id_of};

/// How long the run of a dead process waits for another one.
const LEASE: (&str, &str) = ("completions.lease_seconds", "3");

async fn killable(settings: &[(&str, &str)]) -> System {
    System::start_killable(Shape::Split, env!("CARGO_BIN_EXE_confab"), settings).await
}

/// Kills the process that answers once the answer has begun, and starts it again: what was streamed in all.
async fn streamed_across_a_death(
    system: &mut System,
    page: &Client,
    conversation: i64,
) -> Vec<String> {
    let mut body = page.open(conversation, None).await.bytes_stream();
    let mut chunks = texts((&mut body).take(1)).await;
    system.kill(Part::Completions);
    system.start_part(Part::Completions).await;
    chunks.extend(in_time("the stream ends", texts(body)).await);
    chunks
}

async fn texts<B: AsRef<[u8]>>(body: impl Stream<Item = reqwest::Result<B>>) -> Vec<String> {
    let text = |chunk: reqwest::Result<B>| String::from_utf8(chunk.unwrap().as_ref().to_vec());
    body.map(|chunk| text(chunk).unwrap()).collect().await
}

/// Nothing is set aside any more, and the answer was paid once.
async fn is_settled_once(system: &System, user: Uuid) {
    eventually("it is settled", async || {
        (system.account(user).await.reserved_microdollars == 0).then_some(())
    })
    .await;
    let ledger = system.ledger(user).await;
    assert_eq!(ledger.len(), 2, "a deposit and one charge: {ledger:?}");
    assert!(ledger[1].amount_microdollars < 0, "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_when_the_same_answer_is_written_again() {
    let mut system = killable(&[SLOW, LEASE]).await;
    let page = Client::new(system.address());
    let user = page.enter("ann").await;
    let conversation = page.conversation(user).await;
    page.say(conversation, &"words that are written slowly ".repeat(5))
        .await;
    let chunks = streamed_across_a_death(&mut system, &page, conversation).await;
    let (text, whole) = shown(&chunks);
    assert!(whole, "{:?}", chunks.last());
    let history = page.history(conversation).await;
    assert_eq!(history[1..], [("assistant".to_owned(), text)]);
    is_settled_once(&system, id_of(&system, user).await).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_that_another_answer_is_written_now() {
    let provider = OpenAi::start([
        Reply::Hang(vec!["Once ", "upon a time"]),
        Reply::Text(vec!["Never ", "again."], 10, 2),
    ])
    .await;
    let url = provider.url();
    let settings = [
        ("completions.providers.openai.base_url", url.as_str()),
        ("completions.providers.openai.api_key", "test-key"),
        LEASE,
    ];
    let mut system = killable(&settings).await;
    let page = Client::new(system.address());
    let user = page.enter("ann").await;
    let conversation = page.conversation(user).await;
    page.say(conversation, "A story").await;
    let chunks = streamed_across_a_death(&mut system, &page, conversation).await;
    let (text, whole) = shown(&chunks);
    assert!(!whole && "Once upon a time".starts_with(&text), "{text}");
    let last = chunks.last().unwrap();
    assert!(last.contains("begun anew"), "{last}");
    eventually("the other answer is stored", async || {
        let history = page.history(conversation).await;
        let [_, (_, answer)] = history.as_slice() else {
            return None;
        };
        (answer == "Never again.").then_some(())
    })
    .await;
    assert_eq!(provider.requests().len(), 2);
    is_settled_once(&system, id_of(&system, user).await).await;
    // The conversation goes on.
    page.say(conversation, "Go on").await;
    let (text, whole) = shown(&page.stream(conversation).await.chunks);
    assert_eq!((text.as_str(), whole), ("Hello.", true));
    system.stop().await;
}
