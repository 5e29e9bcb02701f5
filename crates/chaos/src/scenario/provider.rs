//! A model provider that does what no provider should.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use confab_testkit::openai::Reply;

use super::Scenario;
use crate::load::Load;
use crate::runner::{Evidence, Stage};

pub(super) fn all() -> Vec<Box<dyn Scenario>> {
    vec![Box::new(BadProvider)]
}

/// A provider is busy, fails, says nothing, breaks off in the middle of a character, never ends, speaks no JSON, and sends
/// pieces of any size. Each question gets one answer or one failure, and is paid for once; who has seen text is never
/// answered by a second attempt.
struct BadProvider;

/// How often each misbehaviour comes.
const TIMES: usize = 3;
/// The longest answer, in bytes, and what a piece has at most.
const ANSWER_BYTES: usize = 64 * 1024;
/// An event that nobody keeps in memory.
const HUGE: usize = 3 * 1024 * 1024;
/// How long it is waited until everything has been asked for.
const LONGEST: Duration = Duration::from_mins(1);

/// So many of [`early`] are not tried again: a provider that says nothing, and those two that say what makes no sense.
const FOR_GOOD: usize = 3;

/// What goes wrong before there is any text. It may be tried again, or the answer has failed.
fn early() -> Vec<Reply> {
    vec![
        Reply::Busy(1),
        Reply::Status(500),
        Reply::Status(503),
        Reply::Hang(Vec::new()),
        Reply::Bytes(vec![b"data: {not json\n\n".to_vec()]),
        Reply::Bytes(vec![b"data: ".to_vec(), vec![b'x'; HUGE]]),
        Reply::Bytes(Vec::new()),
    ]
}

/// What goes wrong after text was seen.
fn late() -> Vec<Reply> {
    let begun = || Reply::piece("Once upon ");
    vec![
        Reply::Cut(vec!["Once ", "upon "]),
        Reply::Hang(vec!["Once ", "upon "]),
        // In the middle of a character.
        Reply::Bytes(vec![
            begun(),
            b"data: {\"choices\":[{\"delta\":{\"content\":\"caf\xc3".to_vec(),
        ]),
        // Half a character, and then the event goes on.
        Reply::Bytes(vec![
            begun(),
            b"data: {\"choices\":[{\"delta\":{\"content\":\"caf\xc3\"}}]}\n\n".to_vec(),
        ]),
        Reply::Bytes(vec![begun(), b"data: {\"choices\": 7, \n\n".to_vec()]),
        Reply::Bytes(vec![begun(), vec![b'y'; HUGE]]),
        Reply::Bytes(vec![Reply::piece(&"long".repeat(ANSWER_BYTES))]),
        Reply::Endless("and then "),
    ]
}

#[async_trait(?Send)]
impl Scenario for BadProvider {
    fn id(&self) -> &'static str {
        "F31"
    }

    fn title(&self) -> &'static str {
        "the provider misbehaves in every way it can"
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let own = |key, value: String| (key, value);
        vec![
            own("completions.answer_bytes", ANSWER_BYTES.to_string()),
            own(
                "completions.providers.openai.first_token_ms",
                "1500".to_owned(),
            ),
            own("completions.providers.openai.idle_ms", "1000".to_owned()),
            own("completions.providers.openai.retries", "3".to_owned()),
            // It is asked again and again; that a breaker opens is another scenario's.
            own(
                "completions.providers.openai.breaker_failures",
                "1000".to_owned(),
            ),
        ]
    }

    fn load(&self) -> Load {
        Load {
            askers: 6,
            ..Load::default()
        }
    }

    async fn fault(&self, stage: &mut Stage) {
        let mut replies: Vec<Reply> = Vec::new();
        for _ in 0..TIMES {
            replies.extend(early());
            replies.extend(late());
        }
        stage.rng.shuffle(&mut replies);
        stage.provider.script(replies);
        let began = Instant::now();
        while stage.provider.waiting() > 0 && began.elapsed() < LONGEST {
            stage.pause(Duration::from_millis(100)).await;
        }
        stage.until_heal().await;
    }

    async fn judge(&self, stage: &mut Stage, evidence: &Evidence) {
        let left = stage.provider.waiting();
        stage.expect(
            left == 0,
            format!("{left} misbehaviours were never asked for"),
        );
        let runs = evidence.books.runs.len();
        let requests = stage.provider.requests().len();
        let again = TIMES * early().len();
        stage.expect(
            requests <= runs + again,
            format!("{requests} requests for {runs} answers, of which {again} may be repeated"),
        );
        let states = evidence.states();
        let short: usize = states
            .iter()
            .filter(|(state, _)| *state != "complete")
            .map(|(_, count)| count)
            .sum();
        // Each ends what it happens to, but for the two that say too much: an answer that is too long is cut and whole.
        let fewest = TIMES * (FOR_GOOD + late().len() - 2);
        stage.expect(
            short >= fewest,
            format!("{short} answers failed, and {fewest} must have: {states:?}"),
        );
        let answers = evidence
            .outcome
            .asked
            .iter()
            .flat_map(|asked| &asked.answers);
        let longest = answers
            .map(|answer| answer.text.len())
            .max()
            .unwrap_or_default();
        stage.expect(
            longest <= ANSWER_BYTES,
            format!("an answer has {longest} bytes"),
        );
    }
}
