//! The scenarios that every change has to pass, one after another.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;

use confab_chaos::runner::{Options, Row, Suite};
use confab_chaos::scenario;

/// How long each of them lasts.
const LENGTH: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_breaks_no_promise() {
    let _alone = crate::MACHINE.lock().await;
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        program: PathBuf::from(env!("CARGO_BIN_EXE_confab-faulty")),
        out: folder.path().to_owned(),
        seed: fastrand::u64(..),
        commit: String::new(),
        length: LENGTH,
    };
    say(&format!("seed {}\n{}", options.seed, Row::head()));
    let mut suite = Suite::new(options);
    let mut red = Vec::new();
    for scenario in scenario::all() {
        if !scenario.in_smoke() {
            continue;
        }
        let row = suite.run(scenario).await;
        say(&row.line());
        if !row.passed {
            red.push(row.scenario);
        }
    }
    if !red.is_empty() {
        // Logs and histories stay where they can be read.
        say(&format!("see {}", folder.keep().display()));
    }
    assert_eq!(red, Vec::<String>::new());
}

/// Past what tests capture, so that a run that is cut off has said how far it was.
fn say(text: &str) {
    // A closed standard output leaves nowhere to say it.
    let _ = writeln!(stdout(), "{text}");
}
