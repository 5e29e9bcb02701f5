//! A scenario that needs what this machine does not have is said not to have been run.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use confab_chaos::runner::{Options, Stage, Suite};
use confab_chaos::scenario::Scenario;

/// Takes what nobody has.
struct Impossible;

#[async_trait(?Send)]
impl Scenario for Impossible {
    fn id(&self) -> &'static str {
        "F99"
    }

    fn title(&self) -> &'static str {
        "the moon falls"
    }

    fn missing(&self) -> Option<String> {
        Some("it takes a moon".to_owned())
    }

    async fn fault(&self, _stage: &mut Stage) {
        panic!("it was run");
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_neither_begun_nor_passed() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        program: PathBuf::from("/nowhere"),
        out: folder.path().to_owned(),
        seed: 1,
        commit: String::new(),
        length: Duration::from_secs(1),
    };
    let row = Suite::new(options).run(Box::new(Impossible)).await;
    assert_eq!(row.not_run.as_deref(), Some("it takes a moon"));
    assert!(!row.passed && row.wrong.is_empty(), "{row:?}");
    assert!(!folder.path().join("F99").exists(), "it was begun");
}
