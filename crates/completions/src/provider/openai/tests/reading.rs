//! Bodies that are cut, broken, endless or of another shape.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use proptest::prelude::*;

use super::super::events::LARGEST;
use super::super::reading::Reading;
use crate::provider::tests::read;
use crate::provider::{Bill, Cause, Failure, ProviderError};

const IDLE: Duration = Duration::from_secs(30);
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße, \"}}]}\n\n";
const MORE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"日本\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const SEVEN_FIVE: Bill = Bill::Tokens {
    input: 7,
    output: 5,
};

type Outcome = Result<(String, Result<Bill, ProviderError>), Failure>;

async fn outcome(body: impl Stream<Item = Result<Bytes, String>> + Send + 'static) -> Outcome {
    let mut reading = Reading::new(body.boxed());
    let first = reading.next().await?;
    Ok(read(reading.into_answer(first, IDLE)).await)
}

fn chunks<const N: usize>(
    chunks: [impl AsRef<[u8]>; N],
) -> impl Stream<Item = Result<Bytes, String>> + Send + 'static {
    let chunks = chunks.map(|chunk| Ok(Bytes::copy_from_slice(chunk.as_ref())));
    stream::iter(chunks)
}

fn broken() -> impl Stream<Item = Result<Bytes, String>> + Send + 'static {
    stream::iter([Err("reset".to_owned())])
}

/// What began well and then failed.
async fn text_then_failure(
    body: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
) -> (String, String) {
    match outcome(body).await.unwrap() {
        (text, Err(ProviderError::Failed(cause))) => (text, cause),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn usage_is_the_last_one_told_or_unknown() {
    let (text, bill) = outcome(chunks([TEXT, STOP, DONE])).await.unwrap();
    assert_eq!((text.as_str(), bill), ("Grüße, ", Ok(Bill::Unknown)));
    let early = USAGE.replace('7', "1");
    let (_, bill) = outcome(chunks([&early, TEXT, USAGE, DONE])).await.unwrap();
    assert_eq!(bill, Ok(SEVEN_FIVE));
}

#[tokio::test]
async fn an_answer_without_text_just_ends() {
    let (text, bill) = outcome(chunks([STOP, USAGE, DONE])).await.unwrap();
    assert_eq!((text.as_str(), bill), ("", Ok(SEVEN_FIVE)));
}

#[tokio::test]
async fn a_server_may_hang_up_when_the_model_has_finished() {
    let (_, bill) = outcome(chunks([TEXT, STOP, USAGE])).await.unwrap();
    assert_eq!(bill, Ok(SEVEN_FIVE));
    let (_, bill) = outcome(chunks([TEXT, STOP]).chain(broken())).await.unwrap();
    assert_eq!(bill, Ok(Bill::Unknown));
}

#[tokio::test]
async fn a_cut_keeps_the_text_and_is_told() {
    let (text, cause) = text_then_failure(chunks([TEXT])).await;
    assert_eq!(text, "Grüße, ");
    assert_eq!(cause, "the answer was cut: it ended early");
    let (text, cause) = text_then_failure(chunks([TEXT]).chain(broken())).await;
    assert_eq!(text, "Grüße, ");
    assert_eq!(cause, "the answer was cut: reset");
    let (head, _) = MORE.as_bytes().split_at(MORE.find('本').unwrap() + 1);
    let (text, _) = text_then_failure(chunks([TEXT.as_bytes(), head])).await;
    assert_eq!(text, "Grüße, ");
}

#[tokio::test]
async fn a_cut_before_any_text_may_be_tried_again() {
    for body in [chunks([""]), chunks(["data: {\"cho"])] {
        assert_eq!(outcome(body).await.unwrap_err().cause, Cause::Moment(None));
    }
    let failure = outcome(broken()).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Moment(None));
}

#[tokio::test]
async fn an_error_in_the_stream_is_told_by_its_word_after_the_text() {
    let error = "data: {\"error\":{\"type\":\"server_error\",\"message\":\"canary\"}}\n\n";
    let (text, cause) = text_then_failure(chunks([[TEXT, MORE, error, DONE].concat()])).await;
    assert_eq!(text, "Grüße, 日本");
    assert_eq!(cause, "the answer broke off: server_error");

    for (code, error, cause) in [
        ("502", "the answer broke off: 502", Cause::Moment(None)),
        ("401", "the answer broke off: 401", Cause::Key),
        (
            "\"strange\"",
            "the answer broke off: strange",
            Cause::Provider,
        ),
    ] {
        let event = format!("data: {{\"error\":{{\"code\":{code}}}}}\n\n");
        let failure = outcome(chunks([event])).await.unwrap_err();
        assert_eq!(failure.error, ProviderError::Failed(error.to_owned()));
        assert_eq!(failure.cause, cause);
    }
    let event = "data: {\"error\":{\"code\":\"context_length_exceeded\"}}\n\n";
    let failure = outcome(chunks([event])).await.unwrap_err();
    assert_eq!(failure.error, ProviderError::TooLong);
}

#[tokio::test]
async fn what_is_no_json_or_no_text_is_told() {
    let (text, cause) = text_then_failure(chunks([TEXT, "data: {nonsense\n\n"])).await;
    assert_eq!(
        (text.as_str(), cause.as_str()),
        ("Grüße, ", "an event is not JSON")
    );
    let bytes = [TEXT.as_bytes(), b"data: \"\xff\"\n\n"];
    let (_, cause) = text_then_failure(chunks(bytes)).await;
    assert_eq!(cause, "an event is not UTF-8");
}

#[tokio::test]
async fn a_line_without_an_end_does_not_fill_the_memory() {
    let line = stream::repeat(Bytes::from(vec![b'a'; 64 * 1024])).map(Ok);
    let (_, cause) = text_then_failure(chunks([TEXT, "data: "]).chain(line)).await;
    assert_eq!(cause, "an event is too large");
    let lines = stream::repeat(Bytes::from("data: aaaaaaaa\n")).map(Ok);
    let (_, cause) = text_then_failure(chunks([TEXT]).chain(lines)).await;
    assert_eq!(cause, "an event is too large");
    let whole = stream::repeat(Bytes::from(vec![b'{'; LARGEST / 3])).map(Ok);
    let failure = outcome(whole).await.unwrap_err();
    let too_large = ProviderError::Failed("the answer is too large".to_owned());
    assert_eq!(failure.error, too_large);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let whole = "\n {\"choices\":[{\"message\":{\"content\":\"Grüße\"}}],\
                 \"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}";
    let (head, tail) = whole.as_bytes().split_at(whole.find('ü').unwrap() + 1);
    let (text, bill) = outcome(chunks([b"\n".as_slice(), head, tail]))
        .await
        .unwrap();
    assert_eq!((text.as_str(), bill), ("Grüße", Ok(SEVEN_FIVE)));

    let refused = outcome(chunks([
        "{\"error\":{\"code\":\"context_length_exceeded\"}}",
    ]))
    .await;
    assert_eq!(refused.unwrap_err().error, ProviderError::TooLong);
    let cut = outcome(chunks([head])).await.unwrap_err();
    let not_text = ProviderError::Failed("the answer is not UTF-8".to_owned());
    assert_eq!(cut.error, not_text);
    let odd = outcome(chunks(["{nonsense"])).await.unwrap_err();
    let not_json = ProviderError::Failed("the answer is not JSON".to_owned());
    assert_eq!(odd.error, not_json);
    let empty = outcome(chunks(["{}"])).await.unwrap_err();
    assert_eq!(empty.cause, Cause::Moment(None));
}

#[tokio::test(start_paused = true)]
async fn silence_between_pieces_is_limited() {
    let began = tokio::time::Instant::now();
    let (text, cause) = text_then_failure(chunks([TEXT]).chain(stream::pending())).await;
    assert_eq!(
        (text.as_str(), cause.as_str()),
        ("Grüße, ", "no text for 30000 ms")
    );
    assert_eq!(began.elapsed().as_secs(), 30);

    let finished = chunks([TEXT, STOP, USAGE]).chain(stream::pending());
    assert_eq!(outcome(finished).await.unwrap().1, Ok(SEVEN_FIVE));
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_without_text_are_silence() {
    let comments = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        Some((Ok(Bytes::from(": still here\n\ndata: {}\n\n")), ()))
    });
    let (_, cause) = text_then_failure(chunks([TEXT]).chain(comments)).await;
    assert_eq!(cause, "no text for 30000 ms");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cuts_and_line_ends_make_no_difference(
        cuts in proptest::collection::vec(0_usize..400, 0..40),
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        mark in prop_oneof![Just(""), Just("\u{feff}")],
    ) {
        let comment = ": comment\nevent: message\nid: 1\nretry: 9\n";
        let body = [mark, comment, TEXT, MORE, STOP, USAGE, DONE].concat().replace('\n', line_end);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts
            .windows(2)
            .map(|pair| Ok(Bytes::copy_from_slice(&body.as_bytes()[pair[0]..pair[1]])))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (text, bill) = runtime.block_on(outcome(stream::iter(pieces))).unwrap();
        prop_assert_eq!(text, "Grüße, 日本");
        prop_assert_eq!(bill, Ok(SEVEN_FIVE));
    }
}
